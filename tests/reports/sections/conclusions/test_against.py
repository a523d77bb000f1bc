"""A report with an earlier run beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import IsobenchError
from harness.results.folder import ResultsFolder
from reports.figures.style import to_svg
from reports.section import Results
from reports.sections.conclusions.against import Against
from tests.harness import folders


def beside(base: Path, new: Path, *, force: bool = False) -> Against:
    folder = ResultsFolder.open(new)
    found = Against.read(Results(folder, folder.summary(), ResultsFolder.open(base), force))
    assert found is not None
    return found


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.write_folder(tmp_path_factory.mktemp("base") / "run", folders.BASE)


def test_without_an_earlier_run_there_is_no_such_part(base: Path) -> None:
    assert Against.read(Results.open(base)) is None


def test_both_runs_are_drawn_with_intervals_and_findings(base: Path, tmp_path: Path) -> None:
    rates = {"dso": 10_000.0, "cgi": 80.0}
    new = folders.write_folder(tmp_path / "new", folders.NEW, rates, seed=2)
    found = beside(base, new)
    assert found.figures[0].name == "against-requests_per_second"
    svg = to_svg(found.figures[0].draw())
    assert "<title>cgi, BASE: 1" in svg or "<title>cgi, BASE: 9" in svg
    assert "<title>cgi, NEW: 8" in svg or "<title>cgi, NEW: 7" in svg
    assert "(95% interval " in svg
    assert "<title>cgi: -20" in svg or "<title>cgi: -19" in svg
    assert ": lower</title>" in svg
    (_, table) = found.tables[0]
    rows = table[(table["metric"] == "req/s")].set_index("target")
    assert rows.loc["cgi", "finding"] == "lower"
    assert rows.loc["dso", "finding"] in ("same", "not shown")
    assert any(line.startswith("BASE: before") for line in found.sentences)


def test_what_only_one_run_measured_is_said(base: Path, tmp_path: Path) -> None:
    new = folders.write_folder(tmp_path / "new", folders.NEW, {"dso": 10_000.0, "ruid2": 900.0})
    found = beside(base, new)
    assert {line.partition(" (")[0] for line in found.only} == {
        "only in BASE: cgi",
        "only in NEW: ruid2",
    }


def test_one_block_has_no_interval_and_is_drawn(base: Path, tmp_path: Path) -> None:
    new = folders.write_folder(tmp_path / "new", folders.NEW, blocks=1)
    found = beside(base, new)
    assert "<title>cgi, NEW: " in to_svg(found.figures[0].draw())


def test_another_machine_is_refused_unless_forced(base: Path, tmp_path: Path) -> None:
    other = replace(folders.NEW, machine={**folders.NEW.machine, "cpu": "Another CPU"})
    new = folders.write_folder(tmp_path / "new", other)
    with pytest.raises(IsobenchError, match="different machines"):
        beside(base, new)
    assert beside(base, new, force=True).sentences[0].startswith("FORCED")
