"""Letters of a drawing as text."""

from __future__ import annotations

import re

import pytest
from matplotlib.figure import Figure

from reports.figures.lettering import as_text
from reports.figures.style import STYLE, to_svg


def drawn(*words: str, **how: object) -> str:
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4, 1))
        for place, one in enumerate(words):
            figure.text(0.1, 0.1 + place / 4, one, **how)  # type: ignore[arg-type]  # any property
    return to_svg(figure)


@pytest.mark.parametrize(
    "words",
    ["requests per second", "p99 < 5 ms & more", "a--b", "µs ≥ 10", "x", "fit of profile", "off"],
)
def test_words_are_text_and_no_shape_is_left(words: str) -> None:
    text = as_text(drawn(words))
    escaped = words.replace("&", "&amp;").replace("<", "&lt;")
    assert f">{escaped}</text>" in text
    assert "<use" not in text


def test_text_is_as_wide_as_the_shapes_were() -> None:
    (width,) = re.findall(r'textLength="([^"]*)"', as_text(drawn("000", size=10)))
    assert float(width) == pytest.approx(3 * 6.36, abs=0.1)


def test_sizes_weights_colours_and_turns_are_kept() -> None:
    text = as_text(drawn("bold", size=12, weight="bold", color="#123456", rotation=90))
    assert "font-size: 12px" in text
    assert "font-weight: 700" in text
    assert "fill: #123456" in text
    assert re.search(r'transform="translate\([^)]*\) rotate\(-90\)"', text)


def test_letters_of_another_font_stay_shapes() -> None:
    text = as_text(drawn("slanted", style="italic"))
    assert "<text" not in text
    assert text.count("<use") == len("slanted")
