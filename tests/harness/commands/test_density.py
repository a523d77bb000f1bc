"""A small density study for real: written, reported, bounded, resumed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.commands import density
from harness.density import study
from harness.density.procedure import Procedure
from harness.errors import IsobenchError
from harness.results.folder import ResultsFolder

TINY = Procedure(
    tenants=(1, 3), popularities=("uniform",), users=2, warmup_s=0.05, seconds=0.1, cold=2, seed=1
)


def test_a_study_is_written_reported_and_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "study"
    console = Console(width=100, record=True)
    density.start(TINY, ["dso"], True, False, out, console)
    folder = ResultsFolder.open(out)
    rows = folder.table("density")
    assert rows["tenants"].tolist() == [1, 3]
    assert rows["note"].tolist() == ["", ""]
    assert rows["active_tenants"].tolist() == [1, 3]
    assert (rows["memory_mib"] > 1).all()
    starts = folder.table("coldstarts")
    assert set(starts["state"]) == {"never asked"}
    page = (out / "report.html").read_text()
    assert "How many tenants fit" in page
    assert (out / "figures" / "density.svg").exists()
    with pytest.raises(IsobenchError, match="already has a density study"):
        density.start(TINY, ["dso"], True, False, out, console)
    with pytest.raises(IsobenchError, match="no interrupted density study"):
        density.resume(out, console)


def test_what_time_does_not_allow_is_left_out_and_named(tmp_path: Path) -> None:
    out = tmp_path / "study"
    nothing = Procedure(tenants=(1,), popularities=("uniform",), budget_s=0.0, cold=0)
    console = Console(width=100, record=True)
    density.start(nothing, ["dso"], True, False, out, console)
    (row,) = ResultsFolder.open(out).table("density").to_dict("records")
    assert row["note"] == "no time was left (--budget)"
    assert "left out: dso with 1 tenant" in console.export_text()


def test_an_interrupted_study_is_continued_without_measuring_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "study"
    console = Console(width=100, record=True)
    tiny = replace(TINY, cold=0)
    real = study.measure

    def interrupted(*given: Any) -> Any:
        if given[2].sites.stat().st_nlink > 3:  # more than one tenant's directory
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(study, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        density.start(tiny, ["dso"], True, False, out, console)
    before = ResultsFolder.open(out).table("density")
    assert before["tenants"].tolist() == [1]
    assert f"isobench density --resume {out}" in console.export_text().replace("\n", "")
    monkeypatch.undo()
    density.resume(out, console)
    after = ResultsFolder.open(out).table("density")
    assert after["tenants"].tolist() == [1, 3]
    assert after.iloc[0].equals(before.iloc[0])
