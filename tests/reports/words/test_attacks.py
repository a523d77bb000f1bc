"""What the attacks showed, counted and in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from harness.results.folder import ResultsFolder
from reports.figures import attacks as attack_figures
from reports.words import attack_peers
from reports.words import attacks as hostility
from reports.words.attacks import Stopped
from workloads.attacks import every

MakeFolder = Callable[..., Path]
OUTCOMES = {"x": "succeeded", ".": "blocked", " ": "not-applicable", "?": "error"}
NAMES = ("one", "two", "three", "four")
FAMILY = {"one": "reading", "two": "reading", "three": "reading", "four": "writing"}


def attacks(**targets: str) -> pd.DataFrame:
    """Return a table in which each target has a letter for each attack."""
    return pd.DataFrame(
        [
            {
                "target": target,
                "attack": name,
                "outcome": OUTCOMES[letter],
                "evidence": f"evidence of {OUTCOMES[letter]}",
                "family": FAMILY[name],
                "title": f"Title of {name}",
                "runs_as": "server",
                "control": "dso" if name != "four" else None,
                "took_s": 0.1,
                "language": "python",
                "beside": None,
            }
            for target, letters in targets.items()
            for name, letter in zip(NAMES, letters, strict=True)
        ]
    )


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


def test_errors_are_named_in_words() -> None:
    said = hostility.sentences(attacks(a="x?..", b="..?."), pd.DataFrame())
    assert "2 of 8 attempts gave no result and are not counted: two and three on a and b." in said


@pytest.mark.parametrize("letters", ["????", "    ", "? ? "])
def test_a_target_of_which_nothing_counts_is_last_and_has_no_place(
    letters: str, make_folder: MakeFolder
) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    rows = attacks(harache=letters, dso="xxxx", ruid2="x...")
    assert [one.target for one in hostility.standings(rows)] == ["ruid2", "dso", "harache"]
    assert hostility.sentences(rows, summary)[0].startswith("Of 4 attacks in 2 families, ruid2")
    ((_, places), *_) = hostility.placed(rows, summary)
    assert {place.target for place in places} == {"dso", "ruid2"}


def test_where_nothing_counts_at_all_that_is_said() -> None:
    rows = attacks(a="????", b="    ")
    assert (
        hostility.sentences(rows, pd.DataFrame())[0]
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


def test_the_question_is_answered_in_two_sentences(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    rows = attacks(cgi="xx..", suexec="....", dso="xxxx", harache="...x", ruid2="x.x.")
    overview, answer, edge = hostility.sentences(rows, summary)
    assert "suexec stopped the largest share, 100% (4/4 that apply to it), and dso" in overview
    assert answer.startswith("No target that was attacked is as fast as dso (14,200 r")
    assert "the fastest that does is ruid2" in answer
    assert edge.startswith("The best trade-offs of speed and security are dso, ruid2 and suexec:")


def test_no_rest_is_spoken_of_where_each_is_a_trade_off(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    rows = attacks(dso="xxxx", harache="...x", ruid2="x.xx")
    _overview, _answer, edge = hostility.sentences(rows, summary)
    assert edge.startswith("Each of dso, ruid2 and harache is a trade-off of speed and security")


def test_the_answer_is_given_with_other_connections_too(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close", "keep-alive"))).summary()
    rows = attacks(cgi="xx..", suexec="....", dso="xxxx", harache="...x", ruid2="x.x.")
    _overview, answer, _edge = hostility.sentences(rows, summary)
    assert "the fastest that does is ruid2, with " in answer
    assert answer.endswith(
        "; with connections kept alive the fastest is ruid2, with 15,600, 62% of dso."
    )


def test_that_one_is_as_fast_with_other_connections_is_said(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close", "keep-alive"))).summary()
    kept = (summary["target"] == "ruid2") & (summary["connection"] == "keep-alive")
    summary.loc[kept, "ratio_to_dso"] = 1.02
    rows = attacks(cgi="xx..", suexec="....", dso="xxxx", harache="...x", ruid2="x.x.")
    _overview, answer, _edge = hostility.sentences(rows, summary)
    assert answer.endswith(
        "; with connections kept alive ruid2 is as fast as dso: 15,600, 102% of dso."
    )


def test_a_target_that_is_both_would_be_named(make_folder: MakeFolder) -> None:
    numbers = {"dso": ("server", 900, 900, 58, 0.0, 84), "harache": ("owner", 1_000, 1, 9, 1.0, 9)}
    folder = make_folder(connections=("close",), targets=tuple(numbers), numbers=numbers)
    rows = attacks(dso="xxxx", harache="....")
    answer = hostility.sentences(rows, ResultsFolder.open(folder).summary())[1]
    assert answer.endswith("(100%): harache.")


def test_without_measurements_there_is_the_overview_alone() -> None:
    (overview,) = hostility.sentences(attacks(dso="x..."), pd.DataFrame())
    assert overview == "Of 4 attacks 4 applied to dso, which stopped 3."


def test_the_same_evidence_is_shown_once() -> None:
    found = hostility.shown(attacks(a="x...", b="x...", c="...."), ["a", "b", "c"])
    one = found["reading"][0]
    assert [cell.mark for cell in one.cells] == ["\N{MULTIPLICATION SIGN}"] * 2 + ["\N{MIDDLE DOT}"]
    assert one.evidence[0] == ("a, b", "succeeded", "evidence of succeeded")
    assert (one.control, found["writing"][0].control) == ("dso", "")


@pytest.mark.parametrize("width", [80, 160])
def test_the_terminal_has_a_line_for_each_target(width: int) -> None:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(hostility.terminal_matrix(attacks(a="x...", b="...."), width))
    lines = captured.get().splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["b", "a"]
    counts = ["100", "100"] if width == 80 else ["3/3", "1/1"]
    assert lines[-2].split()[1:] == ["100%", *counts]


def test_a_terminal_of_80_columns_cuts_nothing_off() -> None:
    families = dict.fromkeys(one.family for one in every())
    found = pd.DataFrame(
        {
            "target": "process_security_shipped",
            "attack": list(families),
            "family": list(families),
            "outcome": "blocked",
        }
    )
    console = Console(width=80)
    with console.capture() as captured:
        console.print(hostility.terminal_matrix(found, 80))
    assert "\N{HORIZONTAL ELLIPSIS}" not in captured.get()
    assert captured.get().splitlines()[-1].split()[2:] == ["100"] * len(families)


def test_nor_does_it_where_products_have_factors_and_outcomes_are_unknown() -> None:
    names = ("safe_mode", "apache-php-open-basedir", "apache-php-open-basedir:opcache=checked")
    families = dict.fromkeys(one.family for one in every())
    found = pd.DataFrame(
        {
            "target": name,
            "attack": f"{family}-{number}",
            "family": family,
            "outcome": "error" if number == 1 and family == "sharing" else "blocked",
        }
        for name in names
        for family in families
        for number in range(2)
    )
    found = beside(found, **dict.fromkeys(names[1:], "safe_mode"))
    console = Console(width=80)
    with console.capture() as captured:
        console.print(hostility.terminal_matrix(found, 80))
    shown = captured.get()
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    assert ":opcache=checked" in shown
    assert shown.count("100?") == len(names)


def beside(table: pd.DataFrame, **modes: str) -> pd.DataFrame:
    """Return the table with the mode that each of these products stands beside."""
    return table.assign(beside=table["target"].map(modes))


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
