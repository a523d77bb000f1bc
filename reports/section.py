"""What a part of the page is: it reads the results, and is there or is not.

A section is a subclass of `Section` below reports/sections/ and an entry of `SECTIONS` in
reports/page.py; nothing else knows of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import pandas as pd

from harness.results.analysis.load_curve import Place, Swept, sweeps
from harness.results.conditions import portions_apart
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Results:
    """A results folder as sections read it; what they share is computed once."""

    folder: ResultsFolder
    summary: pd.DataFrame
    base: ResultsFolder | None = None
    """An earlier run that this one is set beside."""
    force: bool = False
    """Whether that may have been made on another machine."""

    @classmethod
    def open(cls, path: Path) -> Results:
        """Open a results folder. Raises IsobenchError where it is none."""
        folder = ResultsFolder.open(path)
        return cls(folder, folder.summary())

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path

    @property
    def manifest(self) -> Manifest:
        """run.json."""
        return self.folder.manifest

    @cached_property
    def trials(self) -> pd.DataFrame:
        """trials.parquet."""
        return self.folder.trials()

    @cached_property
    def latency(self) -> pd.DataFrame:
        """latency.parquet."""
        return self.folder.latency()

    def table(self, name: str) -> pd.DataFrame:
        """Return another table by its name; no rows where it was never written."""
        return self.folder.table(name)

    @cached_property
    def common(self) -> pd.DataFrame:
        """The rows of the summary whose load means the same to all targets: no sweep's."""
        return portions_apart(self.summary)[0]

    @cached_property
    def swept(self) -> Mapping[Place, Sequence[Swept]]:
        """The sweeps; empty where there were none."""
        return sweeps(self.trials, self.latency, self.summary, self.manifest.plan)

    @cached_property
    def has_more(self) -> bool:
        """Whether something else than trials was measured: costs, attacks, profiles and so on."""
        others = ("costs", "attacks", "profiles", "density", "neighbour", "slo")
        return any(not self.table(name).empty for name in others)


@dataclass(frozen=True)
class Shown:
    """A figure of the page; `draw` makes it, so that a page can do without."""

    name: str
    heading: str
    text: str
    draw: Callable[[], Figure]


@dataclass(frozen=True, kw_only=True)
class Section(ABC):
    """A part of the page.

    `template` is a file below reports/sections/, in which the section is called `section`; the
    usual one shows `heading`, `sentences` and `figures`. The page's title is that of the first
    section that has one.
    """

    template: ClassVar[str] = "section.html.j2"
    title: str | None = None
    heading: str = ""
    sentences: Sequence[str] = ()
    figures: Sequence[Shown] = ()

    @classmethod
    @abstractmethod
    def read(cls, results: Results) -> Self | None:
        """Gather the section from a results folder; None where the folder has nothing for it."""
