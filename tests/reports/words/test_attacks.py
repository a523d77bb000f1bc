"""What the attacks showed, counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from harness.results.folder import ResultsFolder
from reports.figures import attacks as attack_figures
from reports.words import attack_answer, attack_peers
from reports.words import attacks as hostility
from reports.words.attacks import Stopped
from tests.reports.attacked import attacks, beside

MakeFolder = Callable[..., Path]


@pytest.mark.parametrize(
    ("letters", "text", "share"),
    [("..x.", "3/4", (2 / 3 + 1) / 2), ("x?  ", "0/1 1?", 0.0), ("... ", "3/3", 1.0)],
)
def test_only_what_applies_counts_and_families_weigh_the_same(
    letters: str, text: str, share: float
) -> None:
    (standing,) = hostility.standings(attacks(a=letters))
    assert str(standing.total) == text
    assert standing.share == pytest.approx(share)


def test_nothing_that_counts_is_a_dash_and_an_error_is_none() -> None:
    assert str(Stopped(0, 0)) == "\N{EN DASH}"
    assert str(Stopped(0, 0, 2)) == Stopped(0, 0, 2).percent == "2?"
    assert (str(Stopped(1, 2, 1)), Stopped(1, 2, 1).percent) == ("1/2 1?", "50% 1?")


@pytest.mark.parametrize("letters", ["????", "    ", "? ? "])
def test_a_target_of_which_nothing_counts_is_last_and_has_no_place(
    letters: str, make_folder: MakeFolder
) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    rows = attacks(harache=letters, dso="xxxx", ruid2="x...")
    assert [one.target for one in hostility.standings(rows)] == ["ruid2", "dso", "harache"]
    assert attack_answer.sentences(rows, summary)[0].startswith("Of 4 attacks in 2 families, ruid2")
    ((_, places), *_) = hostility.placed(rows, summary)
    assert {place.target for place in places} == {"dso", "ruid2"}


def test_where_nothing_counts_at_all_that_is_said() -> None:
    rows = attacks(a="????", b="    ")
    assert (
        attack_answer.sentences(rows, pd.DataFrame())[0]
        == "None of the 4 attacks gave a result on any target."
    )
    assert attack_figures.matrix(rows).axes


def test_what_an_interrupted_command_has_not_made_is_no_error() -> None:
    rows = attacks(a="x...", b="....").query("target != 'b' or attack != 'one'")
    cell = hostility.shown(rows, ["a", "b"])["reading"][0].cells[1]
    assert (cell.outcome, cell.mark) == ("not-made", "")


def test_the_safest_comes_first() -> None:
    found = hostility.standings(attacks(bad="xxxx", good="....", middle="x..."))
    assert [one.target for one in found] == ["good", "middle", "bad"]


@pytest.mark.parametrize(
    ("points", "edge"),
    [
        ([("a", 3, 1), ("b", 2, 2), ("c", 1, 3)], ["a", "b", "c"]),
        ([("a", 3, 1), ("b", 2, 1), ("c", 1, 3)], ["a", "c"]),
        ([("a", 3, 3), ("b", 2, 2)], ["a"]),
        ([("a", 3, 3), ("b", 3, 3)], ["a", "b"]),
    ],
)
def test_nobody_on_the_edge_is_beaten_in_both(
    points: Sequence[tuple[str, float, float]], edge: list[str]
) -> None:
    assert hostility.undominated(points) == edge


def test_the_same_evidence_is_shown_once() -> None:
    found = hostility.shown(attacks(a="x...", b="x...", c="...."), ["a", "b", "c"])
    one = found["reading"][0]
    assert [cell.mark for cell in one.cells] == ["\N{MULTIPLICATION SIGN}"] * 2 + ["\N{MIDDLE DOT}"]
    assert one.evidence[0] == ("a, b", "succeeded", "evidence of succeeded")
    assert (one.control, found["writing"][0].control) == ("dso", "")
    assert (one.precedent, found["writing"][0].precedent) == ("CVE-2000-1234: a hole", "")


def test_a_product_follows_the_mode_that_re_enacts_it() -> None:
    table = beside(attacks(mode="..x.", other="....", product="xxxx"), product="mode")
    assert [one.target for one in hostility.standings(table)] == ["other", "mode", "product"]


def test_a_product_whose_mode_was_not_attacked_stands_alone() -> None:
    table = beside(attacks(other="..x.", product="...."), product="mode")
    assert [one.target for one in hostility.standings(table)] == ["product", "other"]
    assert attack_peers.pairings(table) == []


def test_a_pair_agrees_where_both_count_and_differs_by_name() -> None:
    table = beside(attacks(mode=".x. ", product="x.?."), product="mode")
    (pairing,) = attack_peers.pairings(table)
    assert (pairing.alike, pairing.better, pairing.worse) == (0, ("two",), ("one",))
    assert list(attack_peers.sentences([pairing])) == [
        "product and mode agree in 0 of 2 attacks that count on both. Only product stopped two. "
        "Only mode stopped one."
    ]


def test_pairs_are_a_table_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = beside(attacks(mode="....", product="xxxx"), product="mode")
    pairs = attack_peers.pairings(table)
    Console(width=130).print(attack_peers.terminal_table(pairs, 130))
    assert "one, two, three and 1 more" in capsys.readouterr().out
    Console(width=80).print(attack_peers.terminal_table(pairs, 80))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.split() == ["mode", "product", "0/4", "\N{EN DASH}", "4"]
