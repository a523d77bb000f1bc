"""Letters of a drawing as text, instead of as a shape each.

matplotlib's SVGs either have every letter as a shape, which is the same on every reader's screen,
or as text without its width, which another font makes longer. In a page of thirty targets the
shapes are more than half of its bytes and of what a browser has to lay out. Here they become text
with the width that it has in the font that it was laid out for, so that it fits in any other
(SVG 1.1, `textLength`); a reader can search and copy it.
"""

from __future__ import annotations

import html
import re
from functools import cache
from typing import Final

SIZE_PX: Final = 9.5
"""Of text that says no other; the page's style says it, too."""
_EM: Final = 100.0
"""How many units of a letter's place are the size of the font (`matplotlib.textpath`)."""

_WORDS = re.compile(
    r"<!-- (?P<words>[^\n]*?) -->\s*"
    r'<g(?: style="(?P<style>[^"]*)")? transform="translate\((?P<place>[^)]*)\)'
    r'(?P<turn> rotate\([^)]*\))? scale\((?P<scale>[\d.]+) -(?P=scale)\)">\s*'
    r"(?:<defs>.*?</defs>\s*)?(?P<letters>(?:<use [^>]*/>\s*)+)</g>",
    re.DOTALL,
)
_LETTER = re.compile(
    r'href="#(?P<font>DejaVuSans(?:-Bold)?)-[0-9a-f]+"(?: transform="translate\((?P<x>[\d.]+) 0\))?'
)

_LIGATURE = re.compile(r"ff[il]|f[fil]|.", re.DOTALL)
"""What may be a single shape (matplotlib 3.11 and later)."""


def as_text(svg: str) -> str:
    """Return an SVG of matplotlib's with text for letters; what is not plain text stays a shape."""
    return _WORDS.sub(_text, svg)


def _text(found: re.Match[str]) -> str:
    words = html.unescape(found["words"])
    letters = list(_LETTER.finditer(found["letters"]))
    fonts = {letter["font"] for letter in letters}
    if "- -" in words and len(words) != len(letters):
        words = words.replace("- -", "--")  # two of them would end the comment (XML 1.0, 2.5)
    shaped = _LIGATURE.findall(words)
    counts = {len(letters), found["letters"].count("<use")}
    if len(fonts) != 1 or (counts != {len(words)} and counts != {len(shaped)}):
        return found[0]
    last = shaped[-1] if counts == {len(shaped)} else words[-1]
    is_bold = fonts == {"DejaVuSans-Bold"}
    scale = float(found["scale"])
    size = round(scale * _EM, 2)
    width = scale * (float(letters[-1]["x"] or 0) + sum(_advance(one, is_bold) for one in last))
    style = [found["style"]] if found["style"] else []
    style += [] if size == SIZE_PX else [f"font-size: {size:g}px"]
    style += ["font-weight: 700"] if is_bold else []
    attributes = f' style="{"; ".join(style)}"' if style else ""
    if len(words) > 1:
        attributes += f' textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs"'
    if found["turn"]:
        attributes += f' transform="translate({_rounded(found["place"])}){found["turn"]}"'
    else:
        x, y = _rounded(found["place"]).split()
        attributes += f' x="{x}" y="{y}"'
    return f"<text{attributes}>{html.escape(words, quote=False)}</text>"


def _rounded(numbers: str) -> str:
    return " ".join(f"{float(number):.2f}" for number in numbers.split())


@cache
def _advance(letter: str, is_bold: bool) -> float:
    """Return how far the next letter is, in the units of `_EM`."""
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font, LoadFlags

    weight = "bold" if is_bold else "normal"
    font = FT2Font(findfont(FontProperties(family="DejaVu Sans", weight=weight)))
    font.set_size(_EM, 72)
    return float(font.load_char(ord(letter), flags=LoadFlags.NO_HINTING).linearHoriAdvance) / 65536
