"""Texts and drawings as HTML. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, zip_longest

from markupsafe import Markup, escape

from reports.figures import style


def code(text: str) -> Markup:
    """Return a text as HTML, with what stands between backticks as code."""
    # Every second part stood between two backticks; a last one that is never closed is none.
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    plain, quoted = ([escape(part) for part in parts[start::2]] for start in (0, 1))
    codes = [Markup("<code>{}</code>").format(part) for part in quoted]
    return Markup("").join(chain.from_iterable(zip_longest(plain, codes, fillvalue=Markup(""))))


_GLYPH = re.compile(r'<path id="(DejaVu[^"]*)"(?: d="([^"]*)")? transform="([^"]*)"/>')


def glyphs(svgs: Iterable[str]) -> str:
    """Return the shapes of the letters of all these SVGs, each once, as an SVG that shows nothing.

    Every figure of matplotlib's brings its own: they are a third of a page's bytes.
    """
    found = {name: (d, scale) for svg in svgs for name, d, scale in _GLYPH.findall(svg)}
    paths = (
        f'<path id="{name}" d="{" ".join(d.split())}" transform="{scale}"/>'
        for name, (d, scale) in sorted(found.items())
    )
    if not found:
        return ""
    return f'<svg width="0" height="0" aria-hidden="true"><defs>{"".join(paths)}</defs></svg>'


def inline(svg: str, name: str) -> str:
    """Return an SVG to be put into HTML: ids of its own, and colours that follow the theme.

    The shapes of its letters are not in it; see `glyphs`.
    """
    svg = _compact(_GLYPH.sub("", svg[svg.index("<svg") :]))
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#(?!DejaVu)', f'href="#{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    for colour, variable in (("INK", "ink"), ("FAINT", "faint"), ("PAPER", "paper")):
        svg = svg.replace(getattr(style, colour), f"var(--{variable})")
    return svg


def _compact(svg: str) -> str:
    """Leave out what nobody sees: comments, white space, unused ids, hundredths of a point."""
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    svg = re.sub(r"(\d\.\d\d)\d+", r"\1", svg)
    svg = re.sub(r">\s+<", "><", svg)
    return re.sub(r"<defs></defs>|<g/>", "", " ".join(svg.split()))
