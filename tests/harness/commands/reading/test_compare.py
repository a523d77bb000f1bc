"""Two results folders compared: what is written where, and with which exit code it ends."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness import folders
from tests.harness.live import Say


@pytest.fixture(name="runs")
def _runs(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs of one machine, the second a fifth slower."""
    slower = {name: 0.8 * rate for name, rate in folders.RATES.items()}
    return (
        folders.write_folder(tmp_path / "base", folders.BASE),
        folders.write_folder(tmp_path / "new", folders.NEW, slower, seed=2),
    )


def test_two_runs_beside_each_other(say: Say, runs: tuple[Path, Path]) -> None:
    assert say("compare", *runs) == (0, "")
    assert say("compare", *runs, "--fail-if", "requests_per_second < -30%") == (0, "")
    code, written = say("compare", *runs, "--fail-if", "cgi: requests_per_second < -5%")
    assert code == 1
    error, hint = written.splitlines()
    assert error.startswith("error: --fail-if holds with confidence: 'cgi: requests_per_second")
    assert "at cgi -" in error
    assert hint.startswith("hint: ")


def test_a_comparison_is_written_before_it_fails(
    say: Say, runs: tuple[Path, Path], tmp_path: Path
) -> None:
    bound = ("--fail-if", "p99_ms > 10%")
    for form in ("table", "markdown", "csv", "junit"):
        out = tmp_path / form
        code, written = say("compare", *runs, *bound, "--format", form, "--out", out)
        assert code == 1
        assert written.startswith(f"written: {out}\nerror: --fail-if holds")
        assert "dso" in out.read_text()
    code, written = say("compare", *runs, "--out", tmp_path)
    assert code == 2
    assert written.startswith(
        f"error: cannot write {tmp_path}: Is a directory\nhint: choose another"
    )


def test_runs_of_two_machines(say: Say, runs: tuple[Path, Path], tmp_path: Path) -> None:
    machine = {**folders.NEW.machine, "cpu": "Another CPU"}
    other = folders.write_folder(tmp_path / "other", replace(folders.NEW, machine=machine))
    code, written = say("compare", runs[0], other)
    assert code == 2
    assert "made on different machines: machine.cpu is Example CPU and Another CPU" in written
    assert "add --force" in written
    assert say("compare", runs[0], other, "--force") == (0, "")


def test_damaged_runs_are_not_compared(say: Say, runs: tuple[Path, Path]) -> None:
    (runs[1] / "trials.parquet").write_bytes(b"nothing")
    code, written = say("compare", *runs)
    assert code == 2
    assert "trials.parquet is damaged" in written
    (runs[0] / "run.json").write_text("{")
    code, written = say("compare", *runs)
    assert code == 2
    assert "run.json is damaged" in written
