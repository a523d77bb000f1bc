"""Texts and drawings as HTML. Pure."""

from __future__ import annotations

import re
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


def inline(svg: str, name: str) -> str:
    """Return an SVG to be put into HTML: ids of its own, and colours that follow the theme."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    for colour, variable in (("INK", "ink"), ("FAINT", "faint"), ("PAPER", "paper")):
        svg = svg.replace(getattr(style, colour), f"var(--{variable})")
    return svg
