"""report.html needs nothing but itself, and a browser has nothing to complain of."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

import reports
from harness.errors import Caution, IsobenchError
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest, Skipped
from reports import markup, page
from reports.section import Results
from reports.sections import measured
from reports.sections.trials import numbers
from tests.reports.attacked import attacks
from tests.reports.browser import CHROMIUM, QUIET, WITHOUT

MakeFolder = Callable[..., Path]


class Links(HTMLParser):
    """Collects what a page would load, and its ids."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")


def test_everything_is_written(report: Path) -> None:
    folder = report.parent
    assert report == folder / "report.html"
    targets = (f"target-{name}" for name in ("cgi", "suexec", "dso", "harache", "ruid2"))
    names = ("throughput", "latency", "cpu", "memory", "pages", *targets)
    written = sorted(file.name for file in (folder / "figures").iterdir())
    assert written == sorted(f"{name}.{kind}" for name in names for kind in ("svg", "png"))
    assert (folder / "summary.csv").exists()
    assert (folder / "summary.md").exists()
    assert not list(folder.glob("**/.*"))


def test_a_page_takes_so_little_a_target_that_thirty_are_below_two_megabytes_and_a_half(
    report: Path,
) -> None:
    assert 30 / 5 * report.stat().st_size < 2_500_000


def test_a_report_can_be_made_again(make_folder: MakeFolder) -> None:
    folder = make_folder(blocks=1, targets=("dso",))
    first = reports.make(folder).read_bytes()
    assert reports.make(folder).read_bytes() == first


def test_the_page_loads_nothing(report: Path) -> None:
    text = report.read_text()
    found = Links()
    found.feed(text)
    assert all(link.startswith(("#", "data:")) for link in found.links)
    assert len(found.ids) == len(set(found.ids))
    assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)
    assert not re.search(
        r"@import|url\((?!#)|<script[^>]*src|fetch\(|XMLHttpRequest|import\(", text
    )
    assert "default-src 'none'" in text


def test_the_page_says_what_a_reader_needs(report: Path) -> None:
    text = report.read_text()
    for needed in (
        "<h1>Fastest with scripts run as their owners: ruid2, 68% of dso (95% interval 66",
        "The governor is powersave.",
        "suzuki",
        "run as root",
        "cpu model",
        "2026-03-01 12:00:00 to ",
        "Measured with hello, 8 users, 10 tenants:",
        "too few blocks",
        "Example CPU at 3 GHz",
        "isobench run --modes cgi,suexec,dso,harache,ruid2 --seed 7",
        "trials.parquet",
        "<td>1,050</td>",
    ):
        assert needed in text
    assert "has not finished" not in text


def test_each_measured_target_has_a_section_beside_the_references(make_folder: MakeFolder) -> None:
    folder = make_folder(blocks=1, void_targets=("suexec",))
    text = page.without_figures(folder)
    sections = re.findall(r'<section id="target-(.+?)".*?</section>', text, re.DOTALL)
    assert sections == ["cgi", "dso", "harache", "ruid2"]
    assert "Precedent: precedent of ruid2. what ruid2 does Scripts run as the owner" in text
    assert 'aria-label="ruid2 beside dso and harache"' in text
    assert 'aria-label="dso beside harache"' in text


def test_the_answer_and_its_figure_come_first_and_one_line_says_what_weakens_it(
    make_folder: MakeFolder,
) -> None:
    folder = with_attacks(make_folder(blocks=2))
    with ResultsFolder.open(folder, writable=True) as results:
        results.update(warnings=(*results.manifest.warnings, Caution("x", "y")))
    text = page.without_figures(folder)
    places = [
        text.index(mark)
        for mark in (
            "<h1>Fastest with scripts run as their owners",
            '<p class="answer">dso, which runs every script',
            '<p class="answer">No target that was attacked is as fast as dso',
            "<summary><b>3 things weaken this result.</b> Most serious: The blocks",
            "<li><b>The governor is powersave.</b>",
            "</details>",
            "<h2>Security against speed</h2>",
            "<h2>Throughput</h2>",
            'id="findings"',
        )
    ]
    assert places == sorted(places)
    assert text.count("No target that was attacked is as fast as dso") == 1
    assert text.count('class="caution"') == 1


def test_what_was_fine_is_not_listed(make_folder: MakeFolder) -> None:
    folder = make_folder(connections=("close",))
    with ResultsFolder.open(folder, writable=True) as results:
        results.update(warnings=())
    text = page.without_figures(folder)
    assert "Self-checks" not in text
    assert 'class="caution"' not in text


def test_an_unfinished_run_says_so_first(make_folder: MakeFolder) -> None:
    folder = make_folder(blocks=1, targets=("dso",), finished=False)
    text = page.without_figures(folder)
    assert text.index("This run has not finished") < text.index("The governor is powersave")


@pytest.mark.parametrize(
    "shape",
    [
        {"blocks": 0},
        {"blocks": 1},
        {"targets": ("harache",), "blocks": 2},
        {"void_targets": ("cgi", "suexec", "dso", "harache", "ruid2"), "blocks": 1},
    ],
)
def test_every_shape_of_result(make_folder: MakeFolder, shape: dict[str, object]) -> None:
    assert "nan" not in page.without_figures(make_folder(**shape)).lower().split()


def test_names_and_reasons_are_not_markup(make_folder: MakeFolder) -> None:
    folder = make_folder(blocks=1, targets=("dso",))
    with ResultsFolder.open(folder, writable=True) as results:
        results.update(
            skipped=(Skipped("<b>x</b>", "<script>alert(1)</script>", "&"),),
            warnings=(Caution("<i>w</i>", "a"),),
        )
    text = page.without_figures(folder)
    assert "<script>alert" not in text
    assert "<i>" not in text


def test_the_command_has_the_seed(manifest: Manifest) -> None:
    assert measured.command(manifest).endswith("--seed 7")
    given = replace(manifest, argv=("isobench", "run", "--seed=9", "--out", "a b"))
    assert measured.command(given) == "isobench run --seed=9 --out 'a b'"


def test_who_made_it_and_when(manifest: Manifest) -> None:
    assert page.made(manifest) == (
        "isobench 0.1.0 (commit 0123456789abcdef), run 2026-03-01T12-00-00-7, "
        "2026-03-01 12:00:00 UTC"
    )
    bare = replace(manifest, commit=None, finished_at="2026-03-01T12:01:00+00:00")
    assert page.made(bare).endswith("-7, 2026-03-01 12:00:00 to 2026-03-01 12:01:00 UTC")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("none & all", "none &amp; all"),
        ("`top` shows <it>", "<code>top</code> shows &lt;it&gt;"),
        ("its `#!` line and `<b>`", "its <code>#!</code> line and <code>&lt;b&gt;</code>"),
        ("a ` alone", "a ` alone"),
        ("", ""),
    ],
)
def test_what_stands_between_backticks_is_code(text: str, html: str) -> None:
    assert str(markup.code(text)) == html


def test_the_verdict_comes_early_and_empty_columns_not_at_all() -> None:
    table = pd.DataFrame(
        [["dso", "server", "9", "0", "\N{EN DASH}", "ok"], ["cgi", "server", "1", "0", "0", "ok"]],
        columns=["target", "runs as", "req/s", "errors", "p99.9", "verdict"],
    )
    assert list(numbers.telling(table).columns) == ["target", "verdict", "runs as", "req/s"]
    assert "errors" in numbers.telling(table.assign(errors="2"))


def test_no_results_folder(tmp_path: Path) -> None:
    with pytest.raises(IsobenchError, match="not a results folder"):
        reports.make(tmp_path)


def test_reports_read_only_the_results() -> None:
    package = Path(reports.__file__).parent
    imported = {
        name
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    ours = {name for name in imported if name.split(".")[0] in ("harness", "servers", "workloads")}
    rooms = {".".join(name.split(".")[:2]) for name in ours if name.startswith("harness")}
    assert rooms == {"harness.errors", "harness.results", "harness.stats"}


@pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT)
def test_a_browser_shows_it_without_complaint(report: Path, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    quiet = (
        *QUIET,
        *("--enable-logging=stderr", "--v=0", f"--user-data-dir={tmp_path / 'profile'}"),
    )
    shown = subprocess.run(
        [CHROMIUM, *quiet, "--dump-dom", report.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in shown.stderr
    assert "<td>1,050</td>" in shown.stdout
    assert shown.stdout.count("<svg") == 5 + 5  # of the whole run, and of each target


def test_only_columns_that_are_there_are_explained(make_folder: MakeFolder) -> None:
    text = page.without_figures(make_folder(blocks=2, targets=("dso", "cgi")))
    for shown in ("difference, p", "p50, p90, p99", "verdict"):
        assert f"<dt>{shown}</dt>" in text
    for absent in ("bootstrap", "late, dropped"):
        assert f"<dt>{absent}</dt>" not in text


def test_many_blocks_have_a_bootstrap(make_folder: MakeFolder) -> None:
    text = page.without_figures(make_folder(blocks=20, targets=("dso", "cgi")))
    assert "<dt>bootstrap</dt>" in text
    assert '<th scope="col">bootstrap</th>' in text


def figures_of(folder: Path) -> set[str]:
    """Return the names of the figures that the page of a folder has."""
    sections = page.read(Results.open(folder))
    return {shown.name for section in sections for shown in section.figures}


def with_attacks(folder: Path) -> Path:
    rows = attacks(dso="xx..", harache="....")
    with ResultsFolder.open(folder, writable=True) as results:
        known = [
            {str(name): None if pd.isna(value) else value for name, value in row.items()}
            for row in rows.to_dict("records")
        ]
        results.append_table("attacks", known)
    return folder


def test_each_cell_of_the_matrix_leads_to_its_evidence(make_folder: MakeFolder) -> None:
    folder = with_attacks(make_folder(blocks=2))
    text = page.without_figures(folder)
    parser = Links()
    parser.feed(text)
    anchors = {link for link in parser.links if link.startswith("#attack-")}
    assert anchors == {"#attack-one", "#attack-two", "#attack-three", "#attack-four"}
    assert {anchor[1:] for anchor in anchors} <= set(parser.ids)
    assert "evidence of succeeded" in text
    assert text.count("CVE-2000-1234: a hole") == 1
    assert {"frontier", "attacks"} <= figures_of(folder)


def test_attacks_alone_make_a_page(make_folder: MakeFolder) -> None:
    folder = with_attacks(make_folder(blocks=0))
    text = page.without_figures(folder)
    assert "<h1>Of 4 attacks in 2 families, harache stopped" in text
    assert "no trial has ended" not in text.lower()
    assert figures_of(folder) == {"attacks"}


def test_without_attacks_the_page_does_not_speak_of_them(report: Path) -> None:
    assert "attack-" not in report.read_text().partition("<body>")[2]
