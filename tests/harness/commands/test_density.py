from pathlib import Path

import pytest
from rich.console import Console

from harness.commands import density
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
