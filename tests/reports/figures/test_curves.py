"""Curves of latency, and the names at their ends."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.analysis.load_curve import Place, Swept
from reports.figures import curves, style
from tests.reports.words.test_loads import FOUND


@given(st.lists(st.floats(0, 10), min_size=1, max_size=25))
def test_labels_are_pushed_apart_and_stay_inside(wanted: list[float]) -> None:
    step = 10 / 25
    places = curves.spread(wanted, step, 0, 10)
    assert all(b - a >= step - 1e-9 for a, b in pairwise(sorted(places)))
    assert min(places) >= 0
    assert max(places) <= 10 + 1e-9


@pytest.mark.parametrize("found", [FOUND, {}])
def test_a_sweep_is_drawn(found: Mapping[Place, list[Swept]]) -> None:
    figure = curves.sweep(found)
    assert len(figure.axes) == len(found)
    for panel in figure.axes:
        assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
    assert "<svg" in style.to_svg(figure)
