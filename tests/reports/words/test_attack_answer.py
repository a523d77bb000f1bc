"""The article's question, answered from what was attacked and measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from harness.results.folder import ResultsFolder
from reports.words import attack_answer
from tests.reports.attacked import attacks

MakeFolder = Callable[..., Path]


def test_errors_are_named_in_words() -> None:
    said = attack_answer.sentences(attacks(a="x?..", b="..?."), pd.DataFrame())
    assert "2 of 8 attempts gave no result and are not counted: two and three on a and b." in said


def test_the_question_is_answered_in_two_sentences(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    rows = attacks(cgi="xx..", suexec="....", dso="xxxx", harache="...x", ruid2="x.x.")
    overview, answer, edge = attack_answer.sentences(rows, summary)
    assert "suexec stopped the largest share, 100% (4/4 that apply to it), and dso" in overview
    assert answer.startswith("No target that was attacked is as fast as dso (14,200 r")
    assert "the fastest that does is ruid2" in answer
    assert edge.startswith(
        "The best trade-offs of speed and security between tenants are dso, ruid2 and"
    )


def promises(**targets: str) -> pd.DataFrame:
    """Return a table whose last attack is on the same tenant's next request."""
    return attacks(**targets).replace({"family": {"writing": "next_request"}})


def test_the_two_promises_are_told_apart(make_folder: MakeFolder) -> None:
    """What is only safe between tenants is no answer where requests are to be kept apart."""
    summary = ResultsFolder.open(make_folder(connections=("close", "keep-alive"))).summary()
    rows = promises(cgi="xx..", suexec="....", dso="xxxx", harache=".x..", ruid2=".x.x")
    _overview, tenants, requests, edge = attack_answer.sentences(rows, summary)
    assert "0% of the attacks between tenants stopped) and stops as large a share of" in tenants
    assert "67%): the fastest that does is ruid2, with" in tenants
    assert requests.startswith(
        "Of those that also keep a tenant's requests from each other, as harache does (100% of "
        "the attacks on them stopped), the fastest is harache, with 1,050 requests per second"
    )
    assert "; with connections kept alive the fastest is harache, with" in requests
    assert edge.startswith("The best trade-offs of speed and security between tenants are dso, r")


def test_the_fastest_between_tenants_may_keep_the_other_promise(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    rows = promises(dso="xxxx", harache=".x..", ruid2=".x..")
    _overview, _tenants, requests, _edge = attack_answer.sentences(rows, summary)
    assert requests == (
        "ruid2 also keeps a tenant's requests from each other, as harache does (100% of the "
        "attacks on them stopped)."
    )


def test_a_promise_that_harache_does_not_keep_is_not_asked_for(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    for letters in (".x.x", ".x.?", ".x. "):
        rows = promises(dso="xxxx", harache=letters, ruid2=".x..")
        assert len(attack_answer.sentences(rows, summary)) in (3, 4)
        assert not [
            text for text in attack_answer.verdict(rows, summary) if "from each other" in text
        ]


def test_no_rest_is_spoken_of_where_each_is_a_trade_off(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    rows = attacks(dso="xxxx", harache="...x", ruid2="x.xx")
    _overview, _answer, edge = attack_answer.sentences(rows, summary)
    assert edge.startswith("Each of dso, ruid2 and harache is a trade-off of speed and security")


def test_the_answer_is_given_with_other_connections_too(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close", "keep-alive"))).summary()
    rows = attacks(cgi="xx..", suexec="....", dso="xxxx", harache="...x", ruid2="x.x.")
    _overview, answer, _edge = attack_answer.sentences(rows, summary)
    assert "the fastest that does is ruid2, with " in answer
    assert answer.endswith(
        "; with connections kept alive the fastest is ruid2, with 15,600, 62% of dso."
    )


def test_that_one_is_as_fast_with_other_connections_is_said(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close", "keep-alive"))).summary()
    kept = (summary["target"] == "ruid2") & (summary["connection"] == "keep-alive")
    summary.loc[kept, "ratio_to_dso"] = 1.02
    rows = attacks(cgi="xx..", suexec="....", dso="xxxx", harache="...x", ruid2="x.x.")
    _overview, answer, _edge = attack_answer.sentences(rows, summary)
    assert answer.endswith(
        "; with connections kept alive ruid2 is as fast as dso: 15,600, 102% of dso."
    )


def test_a_target_that_is_both_would_be_named(make_folder: MakeFolder) -> None:
    numbers = {"dso": ("server", 900, 900, 58, 0.0, 84), "harache": ("owner", 1_000, 1, 9, 1.0, 9)}
    folder = make_folder(connections=("close",), targets=tuple(numbers), numbers=numbers)
    rows = attacks(dso="xxxx", harache="....")
    answer = attack_answer.sentences(rows, ResultsFolder.open(folder).summary())[1]
    assert answer.endswith("(100%): harache.")


def test_without_measurements_there_is_the_overview_alone() -> None:
    (overview,) = attack_answer.sentences(attacks(dso="x..."), pd.DataFrame())
    assert overview == "Of 4 attacks 4 applied to dso, which stopped 3."
