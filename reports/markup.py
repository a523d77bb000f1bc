"""Texts and drawings as HTML. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain, zip_longest

from markupsafe import Markup, escape

from reports.figures import style
from reports.figures.lettering import as_text


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

    Of letters that `as_text` leaves as shapes; every figure of matplotlib's brings its own.
    """
    texts = [as_text(svg) for svg in svgs]
    used = {name for svg in texts for name in re.findall(r'href="#(DejaVu[^"]*)"', svg)}
    found = {name: (d, scale) for svg in texts for name, d, scale in _GLYPH.findall(svg)}
    paths = (
        f'<path id="{name}" d="{" ".join(d.split())}" transform="{scale}"/>'
        for name, (d, scale) in sorted(found.items())
        if name in used
    )
    shapes = "".join(paths)
    return f'<svg width="0" height="0" aria-hidden="true"><defs>{shapes}</defs></svg>' * bool(
        shapes
    )


def inline(svg: str, name: str) -> str:
    """Return an SVG to be put into HTML: ids of its own, and colours that follow the theme.

    Its letters are text; the shapes of others are not in it, see `glyphs`.
    """
    svg = _GLYPH.sub("", as_text(svg[svg.index("<svg") :]))
    svg = _compact(svg, name)
    for colour, variable in (("INK", "ink"), ("FAINT", "faint"), ("PAPER", "paper")):
        svg = svg.replace(getattr(style, colour), f"var(--{variable})")
    return svg


_STYLE = re.compile(r'(<(?:g|path|text|use)\b(?:(?!\bclass=)[^>])*?) style="([^"]*)"')


def share_styles(svgs: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return SVGs of a page with classes instead of styles, and the style sheet of these.

    A page has some hundred different styles and twenty thousand elements.
    """
    found = Counter(match[2] for svg in svgs.values() for match in _STYLE.finditer(svg))
    names = {style: f"s{number}" for number, (style, _) in enumerate(found.most_common())}

    def named(match: re.Match[str]) -> str:
        return f'{match[1]} class="{names[match[2]]}"'

    sheet = "".join(f".{name}{{{_tight(style)}}}\n" for style, name in names.items())
    return {name: _STYLE.sub(named, svg) for name, svg in svgs.items()}, sheet


def _tight(style: str) -> str:
    return re.sub(r"\s*([:;])\s*", r"\1", style)


def _compact(svg: str, name: str) -> str:
    """Leave out what nobody sees: comments, white space, unused ids, tenths of a pixel."""
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = svg.replace("xlink:href=", "href=")
    used = dict.fromkeys(re.findall(r'(?:href="|url\()#(?!DejaVu)([^")]+)', svg))
    ids = {one: f"{name}-{number}" for number, one in enumerate(used)}
    svg = re.sub(
        r' id="([^"]*)"', lambda found: f' id="{ids[found[1]]}"' if found[1] in ids else "", svg
    )
    svg = re.sub(
        r'(href="|url\()#(?!DejaVu)([^")]+)', lambda found: f"{found[1]}#{ids[found[2]]}", svg
    )
    svg = re.sub(r'\b(d|x|y|transform)="([^"]*)"', _rounded, svg)
    svg = re.sub(r">\s+<", "><", svg)
    svg = re.sub(r"<defs></defs>|<g/>", "", " ".join(svg.split()))
    return _with_marks_joined(_without_bare_groups(svg))


def _rounded(found: re.Match[str]) -> str:
    """Round the numbers of an attribute: to tenths, below ten to hundredths."""
    if "scale" in found[2]:  # of a letter's shape, in units of the font
        return found[0]
    numbers = re.sub(r"(\d\d\.\d|\b\d\.\d\d)\d+", r"\1", found[2])
    numbers = re.sub(r"\.0+(?=\D|$)", "", numbers)
    if found[1] == "d":
        numbers = re.sub(r"\s*([A-Za-z])\s*", r"\1", numbers)
    return f'{found[1]}="{" ".join(numbers.split())}"'


def _without_bare_groups(svg: str) -> str:
    """Leave out groups that say nothing of what is in them."""
    parts, said = [], []
    for part in re.split(r"(<g\b[^>]*>|</g>)", svg):
        if part.startswith("<g"):
            said.append(part != "<g>")
        is_shown = said.pop() if part == "</g>" else not part.startswith("<g") or said[-1]
        if is_shown:
            parts.append(part)
    return "".join(parts)


_GROUP = re.compile(r'(<g class="mark"[^>]*>(?:<title>[^<]*</title>)?|<g\b[^>]*>|</g>)')


def _with_marks_joined(svg: str) -> str:
    """Make one group of those that follow each other and say the same of the same target.

    Each point of a figure is five of matplotlib's artists, and what is said of it is long.
    """
    parts, open_groups = _GROUP.split(svg), list[str]()
    kept, place = [], 0
    while place < len(parts):
        part = parts[place]
        if part == "</g>":
            group = open_groups.pop()
            if group.startswith('<g class="mark"') and parts[place + 1 : place + 3] == ["", group]:
                open_groups.append(group)
                place += 3
                continue
        elif part.startswith("<g"):
            open_groups.append(part)
        kept.append(part)
        place += 1
    return "".join(kept)
