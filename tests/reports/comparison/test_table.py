"""A comparison in every form: it fits, it says what weakens it, and other tools can read it."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import reports
from harness.results.comparison.compare import COMPARABLE, METRICS, Comparison, compare
from harness.results.comparison.thresholds import parse_bound
from harness.results.folder import ResultsFolder
from reports.comparison import table as forms
from tests.harness.folders import BASE, NEW, write_folder


@pytest.fixture(scope="module", name="found")
def _found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Return two runs of which the second is a fifth slower, and has ruid2 for suexec."""
    folder = tmp_path_factory.mktemp("runs")
    new = replace(NEW, versions={"locust": "2.33"})
    rates = {"dso": 10_000.0, "cgi": 100.0}
    before = write_folder(folder / "base", BASE, {**rates, "suexec": 90.0})
    after = write_folder(
        folder / "new",
        new,
        {**{name: 0.8 * rate for name, rate in rates.items()}, "[ruid2]": 9000.0},
        seed=2,
    )
    return compare(
        *(ResultsFolder.open(path).measured(METRICS) for path in (before, after)),
        bounds=[parse_bound(text, COMPARABLE) for text in ("p99_ms > 10%", "memory_mib > 1%")],
    )


def printed(comparison: Comparison, width: int) -> str:
    buffer = io.StringIO()
    console = Console(file=buffer, width=width, color_system=None)
    console.print(forms.render(comparison, width))
    return buffer.getvalue()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_table_fits(found: Comparison, width: int) -> None:
    text = printed(found, width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    assert "hello, 8 users, one connection per request, 3 tenants" in text
    dso = next(line for line in text.splitlines() if line.startswith("dso"))
    assert dso.split()[:2] == ["dso", "req/s"]
    assert "%" in dso
    assert "lower" in dso


def test_intervals_without_bounds_leave_room_for_names(found: Comparison) -> None:
    wild = [replace(row, logs=replace(row.logs, error=20.0, freedom=1.0)) for row in found.rows]
    text = printed(replace(found, rows=tuple(wild)), 80)
    (line,) = (line for line in text.splitlines() if line.startswith("dso"))
    assert line.split()[:2] == ["dso", "req/s"]
    assert "<-99.0% to >+9,900%" in line
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_all_that_one_must_know(found: Comparison) -> None:
    for text in (printed(found, 200), forms.markdown(found)):
        assert "BASE: before" in text
        assert "NEW: after" in text
        assert "the runs began 3 hours apart" in text
        assert "versions.locust" in text
        assert "only in BASE: suexec" in text
        assert "only in NEW: [ruid2]" in text
        assert "--fail-if 'p99_ms > 10%', 2 rows. holds with confidence: 2" in text
        assert "--fail-if 'memory_mib > 1%', 2 rows. not shown to hold: 2" in text
        assert "higher, FAILS" in text
        assert "10 comparisons of NEW with BASE: 6 higher, 2 lower, 2 the same" in text
        assert "FORCED" not in text


def test_runs_of_two_machines_say_so_first(found: Comparison) -> None:
    (first, *_) = found.discrepancies
    forced = replace(found, discrepancies=(replace(first, decisive=True),))
    for text in (printed(forced, 100), forms.markdown(forced), forms.plain(forced)):
        assert text.startswith("FORCED: these runs were made on different machines.")


def test_nothing_else_differs(found: Comparison) -> None:
    same = replace(found, discrepancies=())
    assert "Nothing else differs" in printed(same, 100)
    assert "What else differs" not in forms.markdown(same)


def test_a_file_is_plain_text(found: Comparison) -> None:
    text = forms.plain(found)
    assert "\x1b" not in text
    assert text.endswith("no difference shown.\n")


def test_markdown_tables_are_whole(found: Comparison) -> None:
    lines = [line for line in forms.markdown(found).splitlines() if line.startswith("|")]
    header = next(line for line in lines if "finding" in line)
    assert {line.count("|") for line in lines[: len(found.rows) + 2]} == {header.count("|")}


def test_csv_is_unrounded_and_complete(found: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(forms.csv(found))))
    assert tuple(rows[0]) == forms.CSV_COLUMNS
    assert len(rows) == len(found.rows) + 2
    first = found.rows[0]
    assert float(rows[0]["ratio"]) == pytest.approx(first.ratio.mid, rel=1e-12)
    assert float(rows[0]["ratio_low"]) == pytest.approx(first.ratio.low, rel=1e-12)
    assert {row["finding"] for row in rows[-2:]} == {"only in BASE", "only in NEW"}
    (p99,) = (row for row in rows if (row["target"], row["metric"]) == ("dso", "p99_ms"))
    assert p99["fail_if"] == "p99_ms > 10%: broken"
    assert (p99["base_blocks"], p99["base_verdict"]) == ("8", "ok")


def test_every_format_has_its_name(found: Comparison) -> None:
    assert list(reports.comparison_formats()) == ["table", "markdown", "csv", "junit", "github"]
    assert all(write(found) for write in reports.comparison_formats().values())


def test_one_block_has_no_interval(tmp_path: Path) -> None:
    paths = [
        write_folder(tmp_path / one.run_id, one, {"dso": 100.0}, blocks=1) for one in (BASE, NEW)
    ]
    lone = compare(*(ResultsFolder.open(path).measured(METRICS) for path in paths))
    assert "only one valid block" in printed(lone, 100)
    assert "nan" not in printed(lone, 100).replace("tenant", "")
