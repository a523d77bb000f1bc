"""Drawings as parts of a page."""

from __future__ import annotations

import re

from matplotlib.figure import Figure

from reports.figures.style import STYLE, mark, said_of, to_svg
from reports.markup import glyphs, inline, share_styles


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


def test_shapes_of_letters_that_are_no_text_are_in_the_page_once() -> None:
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3, 2))
        figure.text(0.1, 0.1, "slanted", style="italic")
    svg = to_svg(figure)
    ids = re.findall(r'id="([^"]*)"', glyphs([svg, svg]))
    assert len(ids) == len(set(ids)) == len(set("slanted"))
    parts = inline(svg, "one")
    assert set(re.findall(r'href="#(DejaVu[^"]*)"', parts)) == set(ids)
    assert 'id="DejaVu' not in parts
    assert glyphs([drawn()]) == ""


def test_styles_of_all_figures_are_said_once() -> None:
    svgs = {name: inline(drawn(), name) for name in ("one", "two")}
    shared, sheet = share_styles(svgs)
    assert "stroke-width" not in shared["one"]
    names = re.findall(r'class="(s\d+)"', shared["one"])
    assert set(names) == set(re.findall(r"\.(s\d+)\{", sheet))
    assert set(names) == set(re.findall(r'class="(s\d+)"', shared["two"]))
    assert sheet.count("stroke-width:1.5") <= 2


def test_what_says_the_same_of_the_same_target_is_one_group() -> None:
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3, 2))
        panel = figure.subplots()
        for target, value in (("dso", "1"), ("dso", "1"), ("dso", "2"), ("cgi", "2"), ("dso", "1")):
            mark(panel.plot([1, 2], [3, 4]), target, said_of(target, value))
    parts = inline(to_svg(figure), "one")
    titles = ["dso: 1", "dso: 2", "cgi: 2", "dso: 1"]
    assert re.findall("<title>([^<]*)</title>", parts) == titles
    assert parts.count('class="mark"') == len(titles)
    assert parts.count("<g") == parts.count("</g>")
    marks = [part.partition("</g>")[0] for part in parts.split('class="mark"')[1:]]
    assert [mark.count("<path") for mark in marks] == [2, 1, 1, 1]


def test_what_is_written_in_a_figure_is_not_rounded() -> None:
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3, 2))
        figure.text(0.1, 0.1, "12.3456")
        (line,) = figure.subplots().plot([1, 2], [3, 4])
        mark([line], "dso", said_of("dso", "98.7654 ms"))
    parts = inline(to_svg(figure), "one")
    assert "12.3456" in parts
    assert "98.7654 ms" in parts


def test_ids_of_a_figure_are_its_own_and_lead_somewhere() -> None:
    parts = inline(drawn(), "one")
    ids = re.findall(r'\bid="([^"]*)"', parts)
    assert ids
    assert all(one.startswith("one-") for one in ids)
    led = set(re.findall(r'(?:href="|url\()#(one-[^")]*)', parts))
    assert led == set(ids)
