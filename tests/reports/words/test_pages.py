"""What a report says of pages, from made-up trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.results.analysis.page_cost import PAGES_US, PageCosts, page_costs
from harness.results.folder import ResultsFolder
from harness.results.rows import TrialRow
from reports import page
from reports.figures.pages import shares
from reports.section import Results
from reports.sections.analysis.pages import Pages
from reports.words.pages import checks_table, sentences, table
from tests.harness.results.analysis.test_page_cost import OVERHEADS, trials
from tests.reports.conftest import manifest


@pytest.fixture(name="pages", scope="module")
def _pages() -> list[PageCosts]:
    return page_costs(trials(pages_us=[5_000], scatter=0.005))


def test_the_sentence_is_about_a_page_of_fifty_milliseconds(pages: list[PageCosts]) -> None:
    first, checked = sentences(pages)
    assert first.startswith("For a page of 50 ms of CPU time, harache costs 2.6% (")
    assert ") of dso's capacity and suexec 22% (" in first
    assert checked.startswith("Of 2 measured shares, 2 lie within 10% of what hello's CPU times")
    assert " predict; the furthest, " in checked


def test_of_several_conditions_each_is_named(pages: list[PageCosts]) -> None:
    said = sentences([*pages, *pages])
    assert said[0].startswith("With one connection per request, for a page of 50 ms")


def test_targets_that_cost_next_to_nothing_are_named() -> None:
    frame = trials()
    frame.loc[frame["target"] == "harache", "server_cpu_us_per_request"] = 80.0
    assert "harache costs less than 1% of it." in sentences(page_costs(frame))


def test_a_page_that_was_not_predicted_is_told_in_words() -> None:
    found = page_costs(trials(pages_us=[5_000], slower=1.5, scatter=0.005))
    assert sentences(found)[-1].startswith("The prediction does not hold for harache with page:")
    verdicts = checks_table(found[0])["within 10%"].tolist()
    assert verdicts == ["no", "yes"]


def test_an_uncertain_verdict_says_so() -> None:
    (one,) = page_costs(trials(pages_us=[5_000], scatter=0.2))
    assert set(checks_table(one)["within 10%"]) <= {"yes, not surely", "no, not surely"}
    assert "(for 2, the interval crosses that limit)" in sentences([one])[-1]


def test_an_interval_that_says_nothing_is_not_spelt_out() -> None:
    (one,) = page_costs(trials(pages_us=[5_000], scatter=1.0))
    assert any("(>±100%)" in text for text in checks_table(one)["measured"])


def test_a_row_a_target_and_a_column_a_page(pages: list[PageCosts]) -> None:
    rows = table(pages[0])
    assert rows["target"].tolist() == list(OVERHEADS)
    assert list(rows.columns[2:]) == ["1 ms", "5 ms", "20 ms", "50 ms", "200 ms"]
    assert rows.iloc[0, 2:].tolist() == ["100.0%"] * len(PAGES_US)


def test_the_figure_has_a_panel_a_page_for_each_condition(pages: list[PageCosts]) -> None:
    figure = shares([*pages, *pages])
    assert len(figure.axes) == 2 * len(PAGES_US)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == list(OVERHEADS)


def test_a_folder_with_hello_gets_the_section(tmp_path: Path) -> None:
    rows = []
    for fields in trials(pages_us=[5_000]).astype(object).to_dict("records"):
        known: dict[str, Any] = {
            str(name): None if value != value else value for name, value in fields.items()
        }
        rows.append(TrialRow(**known))
    with ResultsFolder.create(tmp_path, manifest()) as folder:
        folder.append_trials((row, (), ()) for row in rows)
        folder.finish()
    written = page.without_figures(tmp_path)
    assert '<h2 id="pages">What isolation costs a page</h2>' in written
    assert "page:5000us" in written


def test_a_folder_without_trials_has_none(tmp_path: Path) -> None:
    with ResultsFolder.create(tmp_path, manifest()) as folder:
        folder.finish()
    assert Pages.read(Results.open(tmp_path)) is None
