"""A comparison as a comment: the verdict first, sixty lines at most, and what has no room."""

from dataclasses import replace
from pathlib import Path

import pytest

import reports
from harness.commands.reading import step_summary
from harness.results.comparison.compare import METRICS, Comparison, compare
from harness.results.comparison.thresholds import Bound
from harness.results.folder import ResultsFolder
from reports.comparison.github import MOST_LINES, comment, github
from tests.harness import folders


def compared(tmp_path: Path, targets: int, *, bound: bool = True) -> Comparison:
    """Compare two runs of so many targets, each of them slower in the second."""
    rates = {"dso": 10_000.0, **{f"cgi:{number}": 100.0 for number in range(targets - 1)}}
    slower = {name: 0.7 * rate for name, rate in rates.items()}
    base = folders.write_folder(tmp_path / "base", folders.BASE, rates, blocks=3)
    new = folders.write_folder(tmp_path / "new", folders.NEW, slower, blocks=3, seed=2)
    bounds = [Bound("requests_per_second", above=False, percent=-5.0)] if bound else []
    before, after = (ResultsFolder.open(path).measured(METRICS) for path in (base, new))
    return compare(before, after, metrics=METRICS, bounds=bounds)


def test_a_comment_has_the_verdict_first_and_the_failing_rows_before_others(tmp_path: Path) -> None:
    lines = github(compared(tmp_path, 3)).splitlines()
    assert lines[0] == "## isobench: a bound fails in 3 rows"
    assert lines[2] == "- --fail-if 'requests_per_second < -5%', 3 rows. holds with confidence: 3"
    rows = [line for line in lines if line.startswith(("| dso", "| cgi"))]
    assert all("FAILS" in row for row in rows[:3])
    assert not any("FAILS" in row for row in rows[3:])
    assert any("lower" in row or "higher" in row for row in rows[3:])
    assert not any("memory" in row for row in rows)  # which is the same


def test_a_comment_has_sixty_lines_at_most_and_counts_the_rest(tmp_path: Path) -> None:
    comparison = compared(tmp_path, 30)
    for said in ([], [f"line {number}" for number in range(100)]):
        text = comment(comparison, "heading", said)
        lines = text.splitlines()
        assert len(lines) <= MOST_LINES
        shown = sum(line.startswith(("| dso", "| cgi")) for line in lines)
        (left_out,) = [line for line in lines if "more rows are left out" in line]
        assert int(left_out.split()[0]) + shown == 4 * 30
    assert "- and 70 more" in lines


def test_without_bounds_the_comment_says_what_it_is(tmp_path: Path) -> None:
    text = github(compared(tmp_path, 2, bound=False))
    assert text.startswith("## isobench: NEW beside BASE\n")
    assert reports.comparison_formats()["github"] is github


def test_a_name_does_not_break_the_table(tmp_path: Path) -> None:
    comparison = compared(tmp_path, 2)
    odd = [replace(row, target="cgi:a|b\nc") for row in comparison.rows]
    text = github(replace(comparison, rows=tuple(odd)))
    assert "cgi:a\\|b c" in text


def test_a_summary_has_no_more_than_the_service_shows() -> None:
    text = "".join(f"line {number}\n" for number in range(1000))
    assert step_summary.shortened(text, 1 << 20) == text
    short = step_summary.shortened(text, 1000)
    assert len(short.encode()) <= 1000
    kept = short.count("\nline") + 1
    assert f"{1000 - kept} more lines are left out" in short
    assert step_summary.shortened(text, 0) == ""


def test_without_the_service_no_summary_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv(step_summary.VARIABLE, raising=False)
    step_summary.append("text")
    assert "is not set" in capsys.readouterr().err
    monkeypatch.setenv(step_summary.VARIABLE, str(tmp_path / "summary"))
    step_summary.append("ä one\n")
    step_summary.append("two\n")
    assert (tmp_path / "summary").read_text() == "ä one\ntwo\n"
    monkeypatch.setenv(step_summary.VARIABLE, str(tmp_path))
    with pytest.raises(Exception, match="cannot use"):
        step_summary.append("text")
