"""Drawings as parts of a page."""

from __future__ import annotations

import re

from matplotlib.figure import Figure

from reports.figures.style import STYLE, mark, said_of, to_svg
from reports.markup import glyphs, inline


def drawn() -> str:
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3, 2))
        panel = figure.subplots()
        panel.set_title("a b")  # a space is a letter without a shape
        mark(panel.plot([1, 2], [3, 4]), "cgi:spawn=fork", said_of('a "<b>"', "1  2", "1", "3"))
    return to_svg(figure)


def test_what_is_marked_is_a_group_with_its_target_and_a_title() -> None:
    svg = drawn()
    title = "<title>a &quot;&lt;b&gt;&quot;: 1 2 (95% interval 1 to 3)</title>"
    assert f'<g class="mark" data-target="cgi:spawn=fork">{title}' in svg
    assert "mark?" not in svg


def test_a_value_without_an_interval_has_none_said() -> None:
    assert said_of("dso", "3 ms", "", "") == "dso: 3 ms"


def test_letters_are_drawn_by_shapes_that_the_page_has_once() -> None:
    svg = drawn()
    shapes = glyphs([svg, svg])
    ids = re.findall(r'id="([^"]*)"', shapes)
    assert len(ids) == len(set(ids)) > 2
    parts = inline(svg, "one")
    used = set(re.findall(r'href="#(DejaVu[^"]*)"', parts))
    assert used == set(ids)
    assert 'id="DejaVu' not in parts


def test_ids_of_a_figure_are_its_own_and_lead_somewhere() -> None:
    parts = inline(drawn(), "one")
    ids = re.findall(r'\bid="([^"]*)"', parts)
    assert ids
    assert all(one.startswith("one-") for one in ids)
    led = set(re.findall(r'(?:href="|url\()#(one-[^")]*)', parts))
    assert led == set(ids)
