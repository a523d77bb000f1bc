"""Figures come out for every shape of result, without a warning."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from harness.results.folder import ResultsFolder
from harness.results.summary import histograms
from reports.figures import curves, style, throughput

MakeFolder = Callable[..., Path]


def all_figures(path: Path) -> list[Figure]:
    folder = ResultsFolder.open(path)
    summary = folder.summary()
    merged = histograms(folder.trials(), folder.latency())
    return [
        throughput.throughput(summary),
        throughput.cpu(summary),
        throughput.memory(summary),
        curves.latency(summary, merged),
        throughput.beside(summary, ["harache", "dso"]),
    ]


def texts(figure: Figure) -> set[str]:
    figure.draw_without_rendering()
    panels = [text.get_text() for axes in figure.axes for text in axes.texts]
    names = [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
    return {*panels, *names}


def test_the_ratio_stands_beside_the_point(make_folder: MakeFolder) -> None:
    folder = ResultsFolder.open(make_folder(connections=("close",)))
    figure = throughput.throughput(folder.summary())
    assert {"dso", "14,200", "harache", "1,040  7.3% of dso"} <= texts(figure)
    assert "higher is better" in figure.axes[-1].get_xlabel()


def test_no_ratio_to_a_baseline_that_the_generator_held_back(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    summary.loc[summary["target"] == "dso", "verdict"] = "generator-bound"
    figure = throughput.throughput(summary)
    shown = texts(figure)
    assert "at least 14,200; 17,200 by CPU time" in shown
    assert not any("of dso" in text for text in shown)
    (legend,) = figure.legends
    assert "what one core could serve" in legend.get_texts()[1].get_text()
    unknown = summary.assign(capacity_per_core=float("nan"))
    figure = throughput.throughput(unknown)
    assert "at least 14,200" in texts(figure)
    assert not figure.legends


def test_a_rate_that_was_given_is_not_drawn_as_a_result(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    kept = summary.assign(load="open:90", requests_per_second=90.0, offered_per_second=90.0)
    assert throughput.with_telling_rates(kept).empty
    both = pd.concat([summary, kept])
    assert set(throughput.with_telling_rates(both)["load"]) == {"closed:8"}
    kept.loc[kept["target"] == "cgi", "requests_per_second"] = 40.0
    shown = texts(throughput.throughput(throughput.with_telling_rates(kept)))
    assert "40 of 90" in shown
    assert "90" in shown


def test_an_interval_too_wide_to_draw_goes_on_beyond_the_figure(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    summary.loc[summary["target"] == "cgi", "requests_per_second_low"] = 0.001
    summary.loc[summary["target"] == "dso", "requests_per_second_high"] = 1e9
    figure = throughput.throughput(summary)
    low, high = figure.axes[0].get_xlim()
    assert low > 1
    assert high < 1e6
    assert "14,200" in texts(figure)


def test_a_target_comes_before_those_it_is_set_beside(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    figure = throughput.beside(summary, ["ruid2", "dso", "harache"])
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["ruid2", "dso", "harache"]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["requests per second", "p99 latency", "CPU per request", "memory"]
    assert {"1,040", "85 MiB"} <= texts(figure)


@pytest.mark.parametrize(
    "shape",
    [
        {"blocks": 1},
        {"targets": ("harache",), "connections": ("close",)},
        {"targets": ("cgi", "ruid2")},
        {"void_targets": ("dso",)},
        {"void_targets": ("cgi", "suexec", "dso", "harache", "ruid2"), "blocks": 1},
        {"blocks": 0},
    ],
)
def test_every_shape_of_result(make_folder: MakeFolder, shape: dict[str, object]) -> None:
    for figure in all_figures(make_folder(**shape)):
        ElementTree.fromstring(style.to_svg(figure))


def test_25_targets_with_long_names(make_folder: MakeFolder) -> None:
    numbers = {
        f"process_security_shipped:worker_start=exec-{i}": (
            *("owner", 100.0 * 1.3**i, 100.0, 9000 / 1.3**i, 0.0, 5.0),
        )
        for i in range(25)
    }
    path = make_folder(numbers=numbers, targets=tuple(numbers), connections=("close",), blocks=1)
    for figure in all_figures(path):
        assert style.to_png(figure).startswith(b"\x89PNG")


def test_the_same_svg_each_time(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(blocks=2)).summary()
    one, two = (style.to_svg(throughput.cpu(summary)) for _ in range(2))
    assert one == two
    assert "<text" not in one


@given(st.lists(st.text(min_size=1), min_size=1, max_size=25, unique=True))
def test_each_target_has_a_look_of_its_own(names: list[str]) -> None:
    looks = style.looks(names)
    assert set(looks) == set(names)
    assert len({(look.colour, look.dash) for look in looks.values()}) == len(names)
    if len(names) <= len(style.COLOURS):
        assert len({look.colour for look in looks.values()}) == len(names)


def test_looks_do_not_depend_on_order() -> None:
    assert style.looks(["dso", "cgi", "dso"]) == style.looks(["cgi", "dso"])


@given(st.lists(st.floats(0, 10), min_size=1, max_size=25))
def test_labels_are_pushed_apart_and_stay_inside(wanted: list[float]) -> None:
    step = 10 / 25
    places = curves.spread(wanted, step, 0, 10)
    assert all(b - a >= step - 1e-9 for a, b in pairwise(sorted(places)))
    assert min(places) >= 0
    assert max(places) <= 10 + 1e-9
