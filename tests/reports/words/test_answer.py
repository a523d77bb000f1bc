"""The answer is a number with its interval, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness.results.folder import ResultsFolder
from reports.words import answer
from tests.reports.attacked import attacks

MakeFolder = Callable[..., Path]
NONE = pd.DataFrame()


@pytest.fixture(name="summary", scope="module")
def _summary(make_folder: MakeFolder) -> pd.DataFrame:
    return ResultsFolder.open(make_folder()).summary()


def title(summary: pd.DataFrame, **stopped: object) -> str:
    found = answer.find(summary)
    assert found is not None
    return answer.title(found, stopped)


def widened(summary: pd.DataFrame, connection: str = "") -> pd.DataFrame:
    """Return a summary whose ratios have an interval of no use, under one condition or all."""
    wide = summary["connection"].eq(connection) if connection else summary["trials"] > 0
    changed = summary.copy()
    changed.loc[wide, "ratio_to_dso_low"] = summary["ratio_to_dso"] * 0.5
    changed.loc[wide, "ratio_to_dso_high"] = summary["ratio_to_dso"] * 2
    return changed


def test_the_title_has_a_number_and_an_interval(summary: pd.DataFrame) -> None:
    assert title(summary) == (
        "Fastest with scripts run as their owners: ruid2, 68% of dso "
        "(95% interval 66\N{EN DASH}71%)"
    )


def test_a_host_that_allowed_no_answer_is_named_instead(summary: pd.DataFrame) -> None:
    wide = widened(summary)
    assert title(wide) == (
        "No answer from this host in 5 blocks: ruid2, 68% of dso, but with a 95% interval of "
        "34\N{EN DASH}137%"
    )
    said = title(wide, by="budget", spent_s=600.0)
    assert said.startswith("No answer from this host in its budget of 10 min: ruid2")


def test_one_block_has_no_interval_to_answer_with(make_folder: MakeFolder) -> None:
    one = ResultsFolder.open(make_folder(blocks=1, connections=("close",))).summary()
    assert title(one).startswith("No interval from one block; fastest with scripts run as their")


def test_a_limit_of_the_generator_is_no_answer(summary: pd.DataFrame) -> None:
    bound = summary.copy()
    bound.loc[bound["target"] == "dso", "verdict"] = "generator-bound"
    assert title(bound) == (
        "No answer: the load generator was the limit of dso (at least 14,400 requests per second)"
    )
    assert "% of dso" not in " ".join(said(bound))


@pytest.mark.parametrize("trouble", ["wide", "bound"])
def test_the_first_condition_with_an_answer_gives_it(summary: pd.DataFrame, trouble: str) -> None:
    changed = widened(summary, "close")
    if trouble == "bound":
        changed = summary.copy()
        held_back = (changed["target"] == "dso") & (changed["connection"] == "close")
        changed.loc[held_back, "verdict"] = "generator-bound"
    assert title(changed).startswith(
        "Fastest with scripts run as their owners: ruid2, 62% of dso with connections kept alive ("
    )


def test_a_page_that_few_targets_were_measured_with_answers_nothing(summary: pd.DataFrame) -> None:
    page = summary[summary["target"].isin(("dso", "harache"))].assign(workload="page:5ms")
    both = pd.concat([widened(summary), page], ignore_index=True)
    assert title(both).startswith("No answer from this host in 5 blocks: ruid2")


@pytest.mark.parametrize("missing", ["dso", "owner"])
def test_without_two_sides_there_is_no_answer(summary: pd.DataFrame, missing: str) -> None:
    rest = summary[(summary["target"] != missing) & (summary["runs_as"] != missing)]
    assert answer.find(rest) is None


def said(summary: pd.DataFrame, made: pd.DataFrame = NONE) -> list[str]:
    found = answer.find(summary)
    assert found is not None
    return answer.sentences(found, made, summary)


def test_three_to_five_sentences_are_for_who_decides(summary: pd.DataFrame) -> None:
    speed, slowest, cost = said(summary)
    assert speed.startswith("dso, which runs every script as the server itself, answered 14,400 ")
    assert "ruid2, the fastest that runs each script as its owner, 9,830 (hello, 8 users" in speed
    assert slowest.startswith("Of the 3 targets that run scripts as their owners, suexec was the")
    assert cost.startswith("A request cost from 58")
    with_attacks = said(summary, attacks(dso="xxxx", harache="....", ruid2="x..."))
    assert len(with_attacks) == 5
    assert with_attacks[2].startswith("No target that was attacked is as fast as dso")
    assert said(summary, attacks(dso="xxxx", ruid2="x..."))[2].startswith("Of 4 attacks in 2")
