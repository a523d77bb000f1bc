"""The page's script in a real browser: sort, filter, hover, mark, link."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import reports.page
from reports.figures.drawing import own_settings
from reports.figures.style import to_svg
from reports.section import Results
from tests.reports.browser import CHROMIUM, WITHOUT, Browser, browser

MakeFolder = Callable[..., Path]
DRAWN = ("throughput", "latency", "pages", "target-cgi", "target-dso")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT)

# The table of every number, under its first condition.
TABLE = """[...document.querySelectorAll("table")].find((table) => table.tHead
  && [...table.tHead.rows[0].cells].some((cell) => cell.textContent === "verdict"))"""
TARGETS = f"""[...{TABLE}.tBodies[0].rows].filter((row) => !row.hidden)
  .map((row) => row.cells[0].textContent)"""
DOT = """[...document.querySelectorAll("svg .mark[data-target=cgi]")]
  .find((mark) => mark.querySelector("use") && mark.querySelector("title"))"""


@pytest.fixture(name="chromium", scope="module")
def _chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(name="report", scope="module")
def _report(make_folder: MakeFolder) -> Path:
    """Return the page of the usual made-up run, with the figures that the tests look at."""
    folder = make_folder()
    results = Results.open(folder)
    sections = reports.page.read(results)
    shown = [one for section in sections for one in section.figures]
    with own_settings():
        svgs = {
            one.name: to_svg(one.draw()) if one.name in DRAWN else "<svg></svg>" for one in shown
        }
    (folder / "report.html").write_text(reports.page.render(results.manifest, sections, svgs))
    return folder / "report.html"


@pytest.fixture(name="page")
def _page(chromium: Browser, report: Path) -> Iterator[Browser]:
    """The usual report, opened; whatever a test does, nothing is asked for nor complained of."""
    chromium.open(report.as_uri())
    yield chromium
    assert chromium.complaints == []
    assert [url for url in chromium.requests if not url.startswith(("file:", "data:"))] == []


def heading(name: str) -> str:
    return f"""[...{TABLE}.tHead.rows[0].cells].find((cell) => cell.textContent === "{name}")"""


def click(page: Browser, script: str) -> None:
    page.run(f"{script}.dispatchEvent(new MouseEvent('click', {{ bubbles: true }}))")


def choose(page: Browser, name: str, value: str) -> None:
    page.run(
        f"""(() => {{ const field = document.querySelector("[data-filter={name}]");
        field.value = "{value}"; field.dispatchEvent(new Event("input")); }})()"""
    )


def test_a_heading_sorts_its_table_by_numbers_whatever_their_units(page: Browser) -> None:
    usual = page.run(TARGETS)
    button = f"{heading('CPU/req')}.querySelector('button')"
    click(page, button)
    assert page.run(TARGETS) == ["suexec", "cgi", "harache", "ruid2", "dso"]
    assert page.run(f"{heading('CPU/req')}.ariaSort") == "descending"
    click(page, button)
    assert page.run(TARGETS) == ["dso", "ruid2", "harache", "cgi", "suexec"]
    assert page.run(f"{heading('CPU/req')}.ariaSort") == "ascending"
    click(page, button)
    assert page.run(TARGETS) == usual
    assert page.run(f"{heading('CPU/req')}.ariaSort") is None


def test_names_sort_from_a_to_z(page: Browser) -> None:
    click(page, f"{heading('target')}.querySelector('button')")
    assert page.run(TARGETS) == ["cgi", "dso", "harache", "ruid2", "suexec"]


def test_filters_leave_the_targets_that_fit(page: Browser) -> None:
    choose(page, "find", "cgi, ruid")
    assert set(page.run(TARGETS)) == {"cgi", "ruid2"}
    assert page.run("document.querySelectorAll('#chart .bar').length") == 4
    assert page.run("document.querySelector('#status').textContent") == "4 of 10 rows"
    choose(page, "find", "")
    assert len(page.run(TARGETS)) == 5


def test_a_condition_that_is_not_chosen_is_hidden_with_its_heading(page: Browser) -> None:
    headings = """[...document.querySelectorAll("main > h3")].filter((one) => !one.hidden
      && one.textContent.startsWith("hello, 8 users")).map((one) => one.textContent)"""
    assert {"kept alive" in text for text in page.run(headings)} == {True, False}
    choose(page, "connection", "connections kept alive")
    assert {"kept alive" in text for text in page.run(headings)} == {True}


def test_the_figure_shows_the_metric_that_is_chosen(page: Browser) -> None:
    first = "document.querySelector('#chart .bar').textContent"
    assert page.run(first).startswith("dso: 14,")
    assert " req/s (95% interval 1" in page.run(first)
    click(page, "document.querySelector('[data-show=capacity]')")
    assert page.run(first).startswith("dso: 17,")
    assert " capacity per core (95% interval 1" in page.run(first)
    click(page, "document.querySelector('[data-show=cpu]')")
    assert page.run(first).startswith("dso: 5")
    assert "\N{MICRO SIGN}s CPU (95% interval" in page.run(first)
    click(page, "document.querySelector('[data-show=p99]')")
    assert "ms p99 (95% interval" in page.run(first)
    assert page.run("document.querySelectorAll('[data-show][aria-pressed=true]').length") == 1


def test_a_pointer_over_a_figure_is_told_value_and_interval(page: Browser) -> None:
    page.point(DOT)
    tip = "document.querySelector('#tip')"
    assert not page.run(f"{tip}.hidden")
    assert page.run(f"{tip}.textContent").startswith("cgi: 1")
    assert "(95% interval 1" in page.run(f"{tip}.textContent")
    page.press("Escape", 27)
    assert page.run(f"{tip}.hidden")


def test_a_click_on_a_target_marks_it_in_all_figures(page: Browser) -> None:
    click(page, DOT)
    names = "[...new Set([...document.querySelectorAll('svg .mark.on')].map((m) => %s))].sort()"
    assert page.run(names % "m.dataset.target") == ["cgi"]
    marked = "[...document.querySelectorAll('.scroll svg')].filter((s) => s.querySelector('.on'))"
    assert page.run(f"{marked}.length") == len(DRAWN) - 1  # the portrait of dso has no cgi
    assert page.run("document.querySelectorAll('tr.on').length") >= 2
    click(page, DOT)
    assert page.run("document.querySelectorAll('.on').length") == 0


def test_the_keyboard_does_what_the_pointer_does(page: Browser) -> None:
    page.run("document.querySelector('#chart .bar').focus()")
    page.press("Tab", 9)
    assert page.run("document.activeElement.className") == "bar"
    assert not page.run("document.querySelector('#tip').hidden")
    target = page.run("document.activeElement.dataset.target")
    page.press("Enter", 13)
    assert page.run("document.activeElement.getAttribute('aria-pressed')") == "true"
    assert page.run("document.activeElement.dataset.target") == target
    page.run(f"{heading('p99')}.querySelector('button').focus()")
    page.press("Enter", 13)
    assert page.run(f"{heading('p99')}.ariaSort") == "descending"


def test_every_control_has_a_name(page: Browser) -> None:
    nameless = """[...document.querySelectorAll("button, select, input")].filter((one) =>
      !one.textContent.trim() && !one.ariaLabel && !one.closest("label")).length"""
    assert page.run(nameless) == 0
    assert page.run("document.querySelectorAll('th:not([scope])').length") == 0


def test_a_row_of_the_figure_is_named_by_what_it_shows(page: Browser) -> None:
    bar = "document.querySelector('#chart .bar')"
    assert page.run(f"{bar}.textContent === {bar}.dataset.said")
    assert page.run(f"{bar}.ariaLabel") is None
    said = "[...document.querySelectorAll('#chart .said')].every((e) => e.offsetWidth <= 1)"
    assert page.run(said)  # nothing of it is drawn


def test_all_of_the_page_is_its_main_part(page: Browser) -> None:
    parts = "[...document.body.children].map((one) => one.tagName + one.id)"
    assert page.run(parts) == ["MAIN", "DIVtip"]


def test_a_figure_that_a_narrow_window_cuts_can_be_moved_by_the_keyboard(page: Browser) -> None:
    boxes = "[...document.querySelectorAll('.scroll[role=img]')].map((one) => one.tabIndex)"
    assert set(page.run(boxes)) == {-1}
    size = {"width": 360, "height": 640, "deviceScaleFactor": 1, "mobile": False}
    page.call("Emulation.setDeviceMetricsOverride", **size)
    try:
        page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert set(page.run(boxes)) == {0}
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")


def test_a_link_shows_what_its_sender_saw(page: Browser, report: Path) -> None:
    choose(page, "find", "cgi, dso")
    click(page, "document.querySelector('[data-show=cpu]')")
    click(page, "document.querySelector('#chart .bar')")
    click(page, f"{heading('p99')}.querySelector('button')")
    seen = page.run(f"[document.querySelector('#chart').innerHTML, {TARGETS}]")
    link = page.run("location.href")
    assert link.startswith(report.as_uri() + "#show=cpu&find=cgi")
    page.open(link)
    assert page.run(f"[document.querySelector('#chart').innerHTML, {TARGETS}]") == seen
    click(page, "document.querySelector('#reset')")
    assert len(page.run(TARGETS)) == 5


def test_links_within_the_page_still_lead_there_and_keep_the_choices(page: Browser) -> None:
    choose(page, "find", "cgi")
    page.run("location.hash = '#target-dso'")
    page.run("new Promise((done) => setTimeout(done, 50))")
    assert page.run("location.hash") == "#find=cgi&at=target-dso"
    assert page.run("document.querySelector('[data-filter=find]').value") == "cgi"
    assert abs(page.run("document.getElementById('target-dso').getBoundingClientRect().top")) < 150


@pytest.mark.parametrize(
    "fragment",
    [
        "show=speed",
        "sort=99.99.ascending|x",
        "on=nobody|%3Cb%3E",
        "workload=none",
        "find=%3Cimg%3E",
    ],
)
def test_a_link_that_says_nonsense_shows_the_page(
    page: Browser, report: Path, fragment: str
) -> None:
    page.open(f"{report.as_uri()}#{fragment}")
    assert page.run("document.querySelectorAll('[data-show][aria-pressed=true]').length") == 1
    assert page.run("document.querySelectorAll('img, b > b').length") == 0


def test_without_the_script_the_page_shows_all_and_no_dead_controls(
    chromium: Browser, report: Path
) -> None:
    chromium.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        chromium.open(report.as_uri())
        assert len(chromium.run(TARGETS)) == 5
        visible = "[...document.querySelectorAll('button, select')].filter((e) => e.offsetHeight)"
        assert chromium.run(f"{visible}.length") == 0
        titles = "[...document.querySelectorAll('svg title')].map((one) => one.textContent)"
        assert any(title.startswith("cgi: 1") for title in chromium.run(titles))
    finally:
        chromium.call("Emulation.setScriptExecutionDisabled", value=False)
