"""A history as a page, as a table and as CSV."""

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

import reports
from harness.results.comparison.history import History, gather
from reports.history import words
from reports.history.page import render
from tests.harness.results.comparison.test_history import write_runs


@pytest.fixture(name="history", scope="module")
def _history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Twelve runs: a change at the sixth, and another machine from the eleventh on."""
    root = tmp_path_factory.mktemp("runs")
    paths = write_runs(root, [100.0] * 5 + [80.0] * 5 + [300.0] * 2, machines="a" * 10 + "bb")
    for path in paths[1:]:
        (path / "report.html").write_text("")
    (root / "foreign").mkdir()
    return gather([root])


class Links(HTMLParser):
    """Gathers where a page leads, and which elements are still open."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.links += [named["href"] or ""] if tag == "a" else []
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_each_point_leads_to_its_report_where_that_exists(history: History, tmp_path: Path) -> None:
    folder = history.runs[0].path.parents[1]
    page = render(history, folder)
    parser = Links()
    parser.feed(page)
    assert parser.open == []
    assert "of/run-01/report.html" in parser.links
    assert "of/run-00/report.html" not in parser.links
    assert all((folder / link).exists() for link in parser.links)
    assert page.count("<circle") == 2 * 12
    assert 'of/run-01/report.html">run-01</a>' in page  # of the table
    assert "&lt;a" not in page


def test_the_page_marks_changes_and_machines(history: History, tmp_path: Path) -> None:
    page = render(history, tmp_path)
    assert page.count('<line class="change"') == 2
    assert page.count('<line class="break"') == 2
    assert "machine 2 from here on" in page
    assert re.search(r"cgi: -\d\d\.\d% \(-\d\d\.\d% to -\d\d\.\d%\) at run-05", page)
    assert "commit commit-4 to commit-5" in page
    assert "1 folder skipped" in page


def test_the_page_asks_for_nothing(history: History, tmp_path: Path) -> None:
    page = render(history, tmp_path)
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert "<script" not in page


def test_names_are_text_on_the_page(tmp_path: Path) -> None:
    write_runs(tmp_path, [100.0] * 2, target="cgi:<b>&x")
    page = render(gather([tmp_path]), tmp_path)
    assert "<b>&x" not in page
    assert "cgi:&lt;b&gt;&amp;x" in page


def test_the_terminal_shows_each_series_and_each_change(history: History) -> None:
    console = Console(file=io.StringIO(), width=160)
    with console.capture() as capture:
        console.print(reports.history_table(history))
    said = capture.get()
    assert "12 runs on 2 machines, from 2026-03-01 to 2026-03-12" in said
    assert re.search(r"cgi +12 .*-\d\d\.\d% at run-05", said)
    assert "2 changes of level." in said
    assert "foreign: no run.json in it or below" in said


def test_few_runs_show_no_change_and_the_page_says_why(tmp_path: Path) -> None:
    write_runs(tmp_path, [100.0, 100.0, 300.0])
    assert "Too few runs on one machine" in words.found(gather([tmp_path]))


def test_csv_has_a_row_a_run_as_otava_reads_it(history: History) -> None:
    rows = list(csv.DictReader(io.StringIO(reports.history_csv(history))))
    assert len(rows) == 12
    assert rows[0]["time"] == "2026-03-01T12:00:00+00:00"
    assert [row["machine"] for row in rows] == ["1"] * 10 + ["2"] * 2
    values = [float(row["cgi/hello/closed:8/close/tenants:3/ratio_to_dso"]) for row in rows]
    assert values[0] == pytest.approx(0.01, rel=0.05)


def test_csv_of_one_series_has_no_gap(tmp_path: Path) -> None:
    write_runs(tmp_path / "a", [100.0] * 2, target="sandbox")
    history = gather([tmp_path], series=["cgi/*", "sandbox/*"])
    assert len(history.runs) == 2
    write_runs(tmp_path / "b", [100.0] * 3)
    both = gather([tmp_path / "b", tmp_path / "a"])
    assert len(both.runs) == 3  # the other two are the same runs by name
    for row in csv.DictReader(io.StringIO(reports.history_csv(both))):
        assert all(row.values())
