"""Make the README's pictures from a real run: `python docs/pictures.py results/RUN`.

`python -m docs.shown results/RUN` makes these and renews the tables of README and docs.

docs/throughput.png   the figure of the run's report
docs/report.png       the beginning of its report.html, as headless Chromium shows it
docs/run.svg          a recording of a short `isobench run` in a terminal of 80 columns

The recording is an SVG without scripts: CSS shows one frame after the other, each line drawn once.
Where the reader wants no motion, or CSS does not run, it shows the last frame. Pauses are cut
short, and the picture says so. `--only run.svg` makes one of them.
"""

from __future__ import annotations

import argparse
import codecs
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fcntl import ioctl
from html import escape
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parent
COLUMNS, LINES = 80, 24
DEMO: Final = (
    *("run", "--modes", "dso,ruid2,fastcgi,harache", "--connection", "close"),
    *("--blocks", "6"),
)
SHORTEST_S, LONGEST_S, LAST_S = 0.15, 1.2, 6.0
"""How long a frame is shown, at least and at most; how long the last one is."""

FONT_PX, LINE_PX, CELL_PX, EDGE_PX = 14, 18, 8.43, 14
# The palette's contrast to the background is 4.5 at least, also of what is dim (WCAG 2.2, 1.4.3).
COLOURS: Final = {30: "#8b949e", 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341"} | {
    34: "#79c0ff", 35: "#d2a8ff", 36: "#76e3ea", 37: "#e6edf3"
}  # fmt: skip
PLAIN, DIM, GROUND = "#e6edf3", "#9da7b3", "#0d1117"

_CONTROL = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")


@dataclass(frozen=True)
class Style:
    """How a character looks."""

    colour: int | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False


Cell = tuple[str, Style]
Frame = tuple[tuple[Cell, ...], ...]
EMPTY: Final = (" ", Style())


class Screen:
    """A terminal that knows what rich writes: text, colours, and going up to erase lines.

    Source of the sequences: ECMA-48 (CUU, ED, EL, SGR).
    """

    def __init__(self, columns: int = COLUMNS, lines: int = LINES) -> None:
        self._columns, self._lines = columns, lines
        self._rows: list[list[Cell]] = [[]]
        self._row = self._column = 0
        self._style = Style()

    def write(self, text: str) -> None:
        """Do what a terminal does with this output."""
        at = 0
        while at < len(text):
            if control := _CONTROL.match(text, at):
                self._control(control[1], control[2])
                at = control.end()
            else:
                self._put(text[at])
                at += 1

    def frame(self) -> Frame:
        """Return the lines that can be seen."""
        rows = self._rows[-self._lines :]
        return tuple(tuple(row) for row in rows)

    def _put(self, sign: str) -> None:
        if sign == "\r":
            self._column = 0
        elif sign == "\n":
            self._down()
        elif sign.isprintable():
            if self._column == self._columns:
                self._column = 0
                self._down()
            row = self._rows[self._row]
            row += [EMPTY] * (self._column + 1 - len(row))
            row[self._column] = (sign, self._style)
            self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._rows):
            self._rows.append([])

    def _control(self, given: str, kind: str) -> None:
        if kind == "m":
            for number in map(int, given.split(";") if given else "0"):
                self._style = _styled(self._style, number)
        elif kind == "A":
            top = max(0, len(self._rows) - self._lines)
            self._row = max(top, self._row - int(given or 1))
        elif kind == "K":
            row = self._rows[self._row]
            del row[0 if given == "2" else self._column :]
        elif kind == "J":
            del self._rows[self._row + 1 :]
            del self._rows[self._row][self._column :]


def _styled(style: Style, number: int) -> Style:
    if number == 0:
        return Style()
    if number in COLOURS or number - 60 in COLOURS:
        return replace(style, colour=number if number in COLOURS else number - 60)
    style = replace(style, colour=None) if number == 39 else style
    return replace(
        style,
        bold=style.bold or number == 1,
        dim=style.dim or number == 2,
        italic=style.italic or number == 3,
    )


def recorded(command: Sequence[str], folder: Path) -> Iterator[tuple[float, str]]:
    """Carry a command out there, in a terminal, and yield what it writes, each with its second."""
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    pid, terminal = pty.fork()
    if pid == 0:
        ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        os.chdir(folder)
        os.execvpe(command[0], list(command), environment)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    began = time.monotonic()
    while True:
        select.select([terminal], [], [])
        try:
            data = os.read(terminal, 65536)
        except OSError:  # EIO: nobody has the other end any more (pty(7))
            break
        yield time.monotonic() - began, decoder.decode(data)
    if status := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise SystemExit(f"{' '.join(command)} ended with {status}")


def frames(writes: Iterable[tuple[float, str]], prompt: str) -> list[tuple[float, Frame]]:
    """Return what a terminal shows, and how many seconds each is shown; pauses are cut short."""
    screen = Screen()
    screen.write(prompt)
    shown = [(0.0, screen.frame())]
    for second, text in writes:
        screen.write(text)
        if second - shown[-1][0] < SHORTEST_S:
            shown[-1] = (shown[-1][0], screen.frame())
        elif screen.frame() != shown[-1][1]:
            shown.append((second, screen.frame()))
    ends = [*(second for second, _ in shown[1:]), shown[-1][0] + LAST_S]
    lasting = [end - begin for (begin, _), end in zip(shown, ends, strict=True)]
    cut = [min(LONGEST_S, max(SHORTEST_S, one)) for one in lasting[:-1]]
    return [(one, frame) for one, (_, frame) in zip([*cut, LAST_S], shown, strict=True)]


def svg(shown: Sequence[tuple[float, Frame]], title: str) -> str:
    """Return frames as one picture that moves."""
    width = COLUMNS * CELL_PX + 2 * EDGE_PX
    height = LINES * LINE_PX + 2 * EDGE_PX
    total = sum(seconds for seconds, _ in shown)
    lines: dict[tuple[Cell, ...], str] = {}
    rules, groups, at = [], [], 0.0
    for number, (seconds, frame) in enumerate(shown):
        begin, end = 100 * at / total, 100 * (at + seconds) / total
        at += seconds
        rules.append(
            f"@keyframes f{number}{{0%{{visibility:hidden}}{begin:.2f}%{{visibility:visible}}"
            f"{end:.2f}%{{visibility:hidden}}}}"
            f"#f{number}{{animation:f{number} {total:.2f}s step-end infinite}}"
        )
        uses = "".join(
            f'<use href="#{lines.setdefault(row, f"l{len(lines)}")}" y="{place * LINE_PX}"/>'
            for place, row in enumerate(frame)
            if row
        )
        hidden = "" if number == len(shown) - 1 else ' class="hidden"'
        groups.append(f'<g id="f{number}"{hidden}>{uses}</g>')
    drawn = "".join(f'<text id="{name}">{_line(row)}</text>' for row, name in lines.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(title)}">\n'
        f"<title>{escape(title)}</title>\n<style>\n"
        f"text{{font:{FONT_PX}px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;"
        f"fill:{PLAIN};white-space:pre}}\n.hidden{{visibility:hidden}}\n"
        f"@media (prefers-reduced-motion:no-preference){{\n{chr(10).join(rules)}\n}}\n"
        f'</style>\n<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>\n'
        f"<defs>{drawn}</defs>\n"
        f'<g transform="translate({EDGE_PX} {EDGE_PX + FONT_PX})">\n'
        + "\n".join(groups)
        + "\n</g>\n</svg>\n"
    )


def _line(row: Sequence[Cell]) -> str:
    """Return a line as spans, each of one style and at its own place, whatever the font's width."""
    spans, begin = [], 0
    while begin < len(row):
        end = begin
        while end < len(row) and row[end][1] == row[begin][1]:
            end += 1
        text = "".join(sign for sign, _ in row[begin:end])
        if text.strip():
            place, length = begin * CELL_PX, len(text) * CELL_PX
            spans.append(
                f'<tspan x="{place:.1f}" textLength="{length:.1f}"{_attributes(row[begin][1])}>'
                f"{escape(text)}</tspan>"
            )
        begin = end
    return "".join(spans)


def _attributes(style: Style) -> str:
    fill = COLOURS[style.colour] if style.colour is not None else DIM if style.dim else None
    return (
        (f' fill="{fill}"' if fill else "")
        + (' font-weight="bold"' if style.bold else "")
        + (' font-style="italic"' if style.italic else "")
    )


def record(out: Path) -> None:
    """Make the recording."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(sys.executable).with_name("isobench")
        writes = list(recorded([str(program), *DEMO, "--out", "results"], Path(folder)))
    typed = f"$ isobench {' '.join(DEMO)}"
    shown = frames(writes, f"\x1b[1m{typed}\x1b[0m\r\n")
    out.write_text(svg(shown, f"A recording, with pauses cut short, of: {typed[2:]}"))


def photograph(report: Path, out: Path) -> None:
    """Make a picture of the beginning of a report."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("there is no Chromium here: apt-get install chromium")
    quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    subprocess.run(
        [chromium, *quiet, "--window-size=1100,1200", f"--screenshot={out}", report.as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    _with_fewer_colours(out)


def _with_fewer_colours(picture: Path) -> None:
    """Make a PNG a third as large: a page has few colours."""
    from PIL import Image

    Image.open(picture).convert("RGB").quantize(128).save(picture, optimize=True)


def make(results: Path, only: str | None = None) -> None:
    """Make the pictures, or one of them."""
    if only in (None, "throughput.png"):
        shutil.copy(results / "figures" / "throughput.png", DOCS / "throughput.png")
        _with_fewer_colours(DOCS / "throughput.png")
    if only in (None, "report.png"):
        photograph((results / "report.html").resolve(), DOCS / "report.png")
    if only in (None, "run.svg"):
        record(DOCS / "run.svg")


def main() -> None:
    """Make the pictures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("results", type=Path, help="the folder of a run of all modes")
    parser.add_argument("--only", choices=("throughput.png", "report.png", "run.svg"))
    wanted = parser.parse_args()
    make(wanted.results, wanted.only)


if __name__ == "__main__":
    main()
