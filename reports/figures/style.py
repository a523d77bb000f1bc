"""How every figure looks: colours, a look for each target, sizes, axes, and saving it."""

from __future__ import annotations

import html
import io
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from matplotlib.ticker import LogLocator

# Colours of the drawing itself; the page replaces them by those of its theme.
INK = "#22272e"
FAINT = "#c8ced6"
PAPER = "#ffffff"
# Paul Tol's "vibrant" scheme: distinct for the colour-blind, and legible on white and on black.
# (The grey is darker than Tol's, for white paper.) Beyond seven targets the line style differs.
COLOURS = ("#0077bb", "#ee7733", "#009988", "#cc3311", "#33bbee", "#ee3377", "#8a8a8a")
DASHES = ("solid", "dashed", "dotted", "dashdot")
WIDTH_IN = 7.6
ROW_IN = 0.30
_PNG_DPI = 160
STYLE: dict[Any, Any] = {
    # Paths, not text: the same on a reader without the font.
    "svg.fonttype": "path",
    "svg.hashsalt": "isobench",
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9.5,
    "text.parse_math": False,  # a "$" in a name is a "$"
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    # Where they are anyway: to look whether ticks are in their way takes a sixth of all the time.
    "axes.titley": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "grid.alpha": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
}


@dataclass(frozen=True)
class Look:
    """How a target is drawn, in every figure."""

    colour: str
    dash: str


def looks(targets: Sequence[str]) -> dict[str, Look]:
    """Give each target a look of its own, nearly the same from one run to the next.

    A target prefers the place that its name hashes to (CRC 32, the same everywhere); where that
    is taken it gets the next free one. All colours are used before a line style is.
    """
    taken: dict[int, str] = {}
    for name in sorted(set(targets)):
        turn = len(taken) // len(COLOURS)
        start = zlib.crc32(name.encode()) % len(COLOURS)
        places = (
            turn * len(COLOURS) + (start + step) % len(COLOURS) for step in range(len(COLOURS))
        )
        taken[next(place for place in places if place not in taken)] = name
    return {
        name: Look(COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)])
        for place, name in taken.items()
    }


def to_svg(figure: Figure) -> str:
    """Return the figure as SVG, the same text each time."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        settle(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _MARK.sub(_marked, buffer.getvalue())


def mark(artists: Iterable[Artist], target: str, said: str = "") -> None:
    """Name the target that these show in the SVG, and what a pointer over them is told.

    An SVG has them as groups of the class `mark`, with the target in `data-target`, and `said` as
    their title.
    """
    # matplotlib writes nothing of one's own into an SVG but ids.
    name = f"mark?{urlencode({'target': target, 'said': said})}"
    for artist in artists:
        artist.set_gid(name)


def said_of(target: str, value: str, low: str = "", high: str = "") -> str:
    """Return what a pointer over a value is told: the target, the value and its interval."""
    interval = f" (95% interval {low} to {high})" if low and high else ""
    return f"{target}: {' '.join(value.split())}{interval}"


_MARK = re.compile(r'<g id="mark\?([^"]*)">')


def _marked(found: re.Match[str]) -> str:
    named = parse_qs(html.unescape(found[1]))
    target, said = (html.escape(named.get(name, [""])[0]) for name in ("target", "said"))
    title = f"<title>{said}</title>" if said else ""
    return f'<g class="mark" data-target="{target}">{title}'


def to_png(figure: Figure) -> bytes:
    """Return the figure as PNG, at 160 dots an inch."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        settle(figure)
        figure.savefig(
            buffer,
            format="png",
            dpi=_PNG_DPI,
            metadata={"Software": None},
            # A tenth larger than with most effort, which takes half as long again.
            pil_kwargs={"compress_level": 3},
        )
    return buffer.getvalue()


def settle(figure: Figure) -> None:
    """Lay a figure out once: to do it each time that it is saved would take as long as drawing."""
    if not isinstance(figure.canvas, FigureCanvasAgg):
        # As a PNG will be drawn, which then need not measure its letters again.
        FigureCanvasAgg(figure)
        figure.set_dpi(_PNG_DPI)
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
        # Not "none": that leaves a stand-in, for whose sake a figure is drawn twice when saved.
        figure.set_layout_engine(None)


def panels_of(heights_in: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel a height, one above the other."""
    heights = list(heights_in)
    figure = Figure(
        figsize=(WIDTH_IN, sum(heights) + 0.62 * len(heights) + 0.4), layout="constrained"
    )
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)
    return figure, list(panels[:, 0])


def nothing_measured() -> Figure:
    """Return a figure that says that there is nothing to draw."""
    figure = Figure(figsize=(WIDTH_IN, 1))
    figure.text(0.5, 0.5, "nothing was measured", ha="center", va="center")
    return figure


def log_ticks(limits: tuple[float, float]) -> LogLocator:
    """Place ticks at each decade, and at 2 and 5 where decades alone would be too few."""
    few = limits[1] / limits[0] < 200
    return LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,))


def short_name(name: str) -> str:
    """Return a target's name, cut to 28 characters."""
    return name if len(name) <= 28 else f"{name[:27]}…"


def text_width_pt(text: str, size_pt: float, weight: str = "normal") -> float:
    """Return how wide a text will be, in points."""
    font = FontProperties(family=STYLE["font.family"], size=size_pt, weight=weight)
    width, _, _ = TextToPath().get_text_width_height_descent(text, font, ismath=False)
    return float(width)
