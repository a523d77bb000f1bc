"""What is said of how sure a finding is."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest
from reports.page import without_figures
from reports.words import certainty, findings
from tests.reports.conftest import NUMBERS, MakeFolder

TWINS = {**NUMBERS, "ruid2": NUMBERS["dso"]}


def summary(make_folder: MakeFolder, **options: Any) -> pd.DataFrame:
    return ResultsFolder.open(make_folder(connections=("close",), **options)).summary()


def test_five_blocks_can_show_a_difference(make_folder: MakeFolder) -> None:
    few = summary(make_folder, blocks=5)
    assert set(few[few["target"] != "dso"]["difference"]) == {"lower"}


def test_what_was_not_shown_to_differ_is_said(make_folder: MakeFolder) -> None:
    twins = summary(make_folder, blocks=8, numbers=TWINS)
    (ruid2,) = twins[twins["target"] == "ruid2"].to_dict("records")
    assert ruid2["difference"] in ("same", "not shown")
    text = " ".join(findings.findings(twins))
    said = "no difference that matters" if ruid2["difference"] == "same" else "no difference shown"
    assert f", {said})" in text
    assert text.count("no difference") == 1


CHECKED: dict[str, list[Any]] = {
    "target": ["dso", "cgi"],
    "workload": ["hello", "hello"],
    "load": ["closed:8", "closed:8"],
    "connection": ["close", "close"],
    "checked": [30, 30],
    "failed_checks": [0, 0],
}


def test_self_checks_passed() -> None:
    text = certainty.self_checks(pd.DataFrame(CHECKED))
    assert text.startswith("Self-checks passed in all 60 trials: ")


def test_self_checks_failed_where() -> None:
    text = certainty.self_checks(pd.DataFrame(CHECKED | {"failed_checks": [0, 2]}))
    assert text.startswith("Self-checks failed in 2 of 60 trials (")
    assert text.endswith(": cgi (hello, closed:8, close) in 2 of 30.")


def test_older_folders_have_no_self_checks() -> None:
    assert certainty.self_checks(pd.DataFrame(CHECKED | {"checked": [0, 0]})) == ""


STOPPED = {
    "by": "budget",
    "blocks": 9,
    "spent_s": 590.0,
    "block_s": 30.0,
    "precision": 0.03,
    "wanting": [
        {"target": "cgi", "condition": "hello", "within": 0.031, "more_blocks": 1},
        {"target": "ruid2", "condition": "hello", "within": 0.04, "more_blocks": 12},
        {"target": "dso", "condition": "hello", "within": None, "more_blocks": None},
    ],
}


def test_what_ended_a_run_and_what_more_would_cost() -> None:
    assert list(certainty.stopping(STOPPED)) == [
        "The run ended after 9 blocks, 10 min: another would not have fit in its budget.",
        "About 12 more blocks, 6 min, would give ±3% for ruid2 (hello); cgi would need fewer.",
    ]


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("precision", "because every interval was within ±3%."),
        ("blocks", "the requested number."),
    ],
)
def test_other_ends(by: str, said: str) -> None:
    (sentence,) = certainty.stopping({**STOPPED, "by": by, "blocks": 1, "wanting": []})
    assert sentence == f"The run ended after 1 block, 10 min, {said}"


def test_a_plain_run_says_what_more_would_cost_and_nothing_of_its_end() -> None:
    assert list(certainty.stopping({})) == []
    plain = {**STOPPED, "by": "blocks", "precision": None, "aim": 0.05}
    assert list(certainty.stopping(plain)) == [
        "About 12 more blocks, 6 min, would give ±5% for ruid2 (hello); cgi would need fewer."
    ]
    few = list(certainty.stopping({**plain, "wanting": []}))
    assert few == ["Another block would take about 30 s."]


def test_many_are_counted_and_not_named() -> None:
    wanting = [
        {"target": f"t{number}", "condition": "hello", "within": 0.1, "more_blocks": number}
        for number in range(1, 9)
    ]
    (*_, more) = certainty.stopping({**STOPPED, "wanting": wanting})
    assert more.endswith("for t8 (hello); 7 others would need fewer.")


def test_no_difference_for_rows_without_a_comparison() -> None:
    row = {"difference": "", "p_value": math.nan, "trials": 8}
    assert certainty.difference(row, can_show=True) == ""
    assert certainty.can_show([row])


def test_the_page_shows_it_all(make_folder: MakeFolder, manifest: Manifest) -> None:
    path = make_folder(blocks=3)
    with ResultsFolder.open(path, writable=True) as folder:
        folder.update(stopped=STOPPED)
    text = without_figures(path)
    assert "About 12 more blocks, 6 min" in text
    assert ">difference</th>" in text
