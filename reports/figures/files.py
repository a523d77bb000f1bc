"""Figures as files, drawn by several processes: one takes some tenths of a second."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from harness.errors import IsobenchError
from harness.results.atomic_file import replace_file
from reports.figures.style import to_png, to_svg

Figures = Mapping[str, Callable[[], Figure]]
"""What makes each figure, by the name of its files."""

_MOST_PROCESSES: Final = 4
"""Each needs some hundred megabytes, and there are few figures that take long."""

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def write_figures(figures: Figures, directory: Path) -> dict[str, str]:
    """Draw figures into a directory, each as SVG and as PNG. Returns the SVGs by name.

    Raises IsobenchError where the disk refuses, or where a process that drew was killed.
    """
    processes = min(len(figures), len(os.sched_getaffinity(0)), _MOST_PROCESSES)
    if processes < 2:
        return {name: _write(figures, directory, name) for name in figures}
    # Forked, for what a figure is made of can be handed over in no other way.
    pool = ProcessPoolExecutor(processes, get_context("fork"), _begin, (figures, directory))
    with _forking_is_meant(), pool:
        try:
            return dict(zip(figures, pool.map(_write_own, figures), strict=True))
        except BrokenProcessPool as error:
            raise IsobenchError(
                "a process that draws figures was killed",
                hint="free some memory, then write the report with: isobench report DIR",
            ) from error


_own: tuple[Figures, Path]
"""Of a process that draws: what it may be asked for, and where it goes."""


def _begin(figures: Figures, directory: Path) -> None:
    """Begin a process that draws."""
    global _own
    _own = figures, directory
    # Whoever interrupts means the command, which then ends these; one that is killed cannot.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # What was there before is never garbage; to look at it took a tenth of the time.
    gc.freeze()


def _write_own(name: str) -> str:
    return _write(*_own, name)


def _write(figures: Figures, directory: Path, name: str) -> str:
    figure = figures[name]()
    replace_file(directory / f"{name}.png", to_png(figure))
    svg = to_svg(figure)
    replace_file(directory / f"{name}.svg", svg.encode())
    return svg


@contextmanager
def _forking_is_meant() -> Iterator[None]:
    """Keep Python 3.12 and later from warning of threads that a child will not have.

    Those that there are belong to numpy and Arrow, which are prepared for it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*multi-threaded", DeprecationWarning)
        yield
