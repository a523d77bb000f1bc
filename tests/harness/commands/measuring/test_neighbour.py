"""`isobench neighbour` as a command: a folder of its own, or that of an earlier run."""

from __future__ import annotations

from pathlib import Path

from harness.results.folder import ResultsFolder
from tests.harness.live import Isobench, needs_root

SHORT = (
    "neighbour", "--modes", "dso", "--noise", "cpu,memory", "--blocks", "1", "--seconds", "0.2",
    "--rate", "50", "--seed", "3",
)  # fmt: skip


@needs_root
def test_noise_is_measured_with_and_without_limits(isobench: Isobench, tmp_path: Path) -> None:
    isobench.drawn = True
    out = tmp_path / "results"
    ended = isobench.call(*SHORT, "--out", out)
    assert (ended.code, ended.err) == (0, "")
    assert "this takes about 10 s on a quiet host: 5 windows of 0.2 s on 2 servers" in ended.out
    assert "without limits" in ended.out
    folder = ResultsFolder.open(out)
    rows = folder.table("neighbour")
    unlimited = rows[rows["limits"] == "none"]
    assert sorted(unlimited["noise"]) == ["alone", "cpu", "memory"]
    assert set(rows[rows["limits"] != "none"]["noise"]) >= {"alone", "memory"}
    assert set(rows["verdict"]) == {"ok"}
    record = folder.manifest.also["neighbour"]
    assert (record["seed"], record["rate"], list(record["noises"])) == (3, 50, ["cpu", "memory"])
    assert record["finished_at"]
    assert folder.manifest.finished_at
    assert (out / "figures" / "neighbour.svg").exists()
    assert isobench.lasting_traces() == []
    again = isobench.call(*SHORT, "--out", out)
    assert again.code == 2
    assert "already has noisy neighbours" in again.err


def test_an_unknown_way_of_limiting_is_refused(isobench: Isobench, tmp_path: Path) -> None:
    ended = isobench.call(*SHORT, "--limits", "some", "--out", tmp_path / "results")
    assert ended.code == 2
    assert "choose one of off, on, both" in ended.err
