"""Figures come out for every shape of result, without a warning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from harness.results.blocks import histograms
from harness.results.folder import ResultsFolder
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


def test_a_target_comes_before_those_it_is_set_beside(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    figure = throughput.beside(summary, ["ruid2", "dso", "harache"])
    written = [text.get_text() for text in figure.axes[0].texts]
    names = [text for text in written if text in ("ruid2", "dso", "harache")]
    assert names == ["ruid2", "dso", "harache"]
    titles = ["requests per second", "p99 latency", "CPU per request", "memory"]
    assert [text for text in written if text in titles] == titles
    assert {"1,040", "85 MiB"} <= texts(figure)


def test_side_by_side_each_measure_is_to_its_own_scale(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    (panel,) = throughput.beside(summary, ["ruid2", "dso", "harache"]).axes
    titles = {text.get_text(): text.get_position()[0] for text in panel.texts}
    starts = [titles[name] for name in ("requests per second", "p99 latency", "CPU per request")]
    width = starts[1] - starts[0]
    points = [np.ravel(line.get_xdata())[0] for line in panel.lines if line.get_marker() == "o"]
    rates, times = points[0::4], points[1::4]
    assert all(starts[0] < point < starts[0] + width for point in rates)
    assert all(starts[1] < point < starts[1] + width for point in times)
    # dso has the highest rate and the lowest latency, harache the reverse.
    assert rates[1] > rates[0] > rates[2]
    assert times[1] < times[2]


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
