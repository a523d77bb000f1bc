"""The figures of the attacks hold every target and every attack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.results.folder import ResultsFolder
from reports.figures import attacks as attack_figures
from reports.figures import style
from reports.words.attacks import placed
from tests.reports.attacked import attacks

MakeFolder = Callable[..., Path]


def test_the_matrix_names_families_attacks_and_targets() -> None:
    figure = attack_figures.matrix(attacks(a="x.. ", b="...?"))
    (panel,) = figure.axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["b", "a"]
    names = [label.get_text() for label in panel.get_yticklabels()]
    assert names == ["reading", "one", "two", "three", "writing", "four"]
    assert style.to_png(figure).startswith(b"\x89PNG")


def test_the_frontier_sets_security_against_rate_and_p99(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder()).summary()
    made = attacks(dso="xxxx", harache="....", ruid2="x...")
    figure = attack_figures.frontier(placed(made, summary))
    assert len(figure.axes) == 4  # two conditions
    names = {text.get_text() for text in figure.axes[0].texts}
    assert names == {"dso 0/4", "harache 4/4", "ruid2 3/4"}


def test_the_frontier_tells_the_two_promises_apart(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    made = attacks(dso="xxxx", harache="....", ruid2="x..x")
    made = made.replace({"family": {"writing": "next_request"}})
    figure = attack_figures.frontier(placed(made, summary))
    assert {text.get_text() for text in figure.axes[0].texts} == {
        "dso 0/3",
        "harache 3/3",
        "ruid2 2/3",
    }
    marks = {
        line.get_gid(): line.get_markerfacecolor()
        for line in figure.axes[0].lines
        if line.get_marker() == "o"
    }
    assert sum(face == "white" for face in marks.values()) == 2
    assert len(marks) == 3
    (legend,) = figure.legends
    assert "keeps a tenant's requests apart" in legend.get_texts()[0].get_text()
    alike = attack_figures.frontier(placed(attacks(dso="xxxx", harache="...."), summary))
    assert not alike.legends


def test_without_measurements_there_is_no_frontier(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(targets=("cgi",), blocks=1)).summary()
    assert placed(attacks(dso="xxxx"), summary) == []
