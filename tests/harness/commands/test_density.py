"""A small density study for real: written, reported, bounded, resumed."""

import subprocess
import sys
from pathlib import Path

from harness.commands import density
from harness.results.folder import ResultsFolder

TINY = ("--modes", "dso", "--popularity", "uniform", "--seconds", "0.1", "--seed", "1")


def isobench(*arguments: str) -> tuple[int, str]:
    """Run the command in a process of its own, where gevent has not replaced anything."""
    result = subprocess.run(
        [sys.executable, "-P", "-m", "harness", "density", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, " ".join((result.stdout + result.stderr).split())


def test_a_study_is_written_reported_continued_and_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "study"
    status, said = isobench(*TINY, "--tenants", "1", "--cold", "2", "--out", str(out))
    assert status == 0, said
    folder = ResultsFolder.open(out)
    (row,) = folder.table("density").to_dict("records")
    assert (row["tenants"], row["active_tenants"], row["note"]) == (1, 1, "")
    assert row["memory_mib"] > 1
    assert set(folder.table("coldstarts")["state"]) == {"never asked"}
    assert "How many tenants fit" in (out / "report.html").read_text()
    assert (out / "figures" / "density.svg").exists()

    status, said = isobench(*TINY, "--out", str(out))
    assert (status, "already has a density study" in said) == (2, True)
    status, said = isobench("--resume", str(out))
    assert (status, "no interrupted density study" in said) == (2, True)

    with ResultsFolder.open(out, writable=True) as interrupted:
        record = interrupted.manifest.also[density.COMMAND]
        procedure = {**record["procedure"], "tenants": [1, 3]}
        changed = {**record, "procedure": procedure, "finished_at": None}
        interrupted.note(density.COMMAND, changed)
    status, said = isobench("--resume", str(out))
    assert status == 0, said
    after = ResultsFolder.open(out).table("density")
    assert after["tenants"].tolist() == [1, 3]
    assert after.iloc[0]["requests_per_second"] == row["requests_per_second"]


def test_what_time_does_not_allow_is_left_out_and_named(tmp_path: Path) -> None:
    out = tmp_path / "study"
    limits = ("--tenants", "1", "--cold", "0", "--budget", "1ms")
    status, said = isobench(*TINY, *limits, "--out", str(out))
    assert status == 0, said
    (row,) = ResultsFolder.open(out).table("density").to_dict("records")
    assert row["note"] == "no time was left (--budget)"
    assert "left out: dso with 1 tenant" in said
