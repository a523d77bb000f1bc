"""Each target by itself: what it is, what was found, a figure beside others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

from harness.results.conditions import BASELINE
from harness.results.manifest import Target
from reports.figures import throughput
from reports.section import Results, Section, Shown
from reports.words import findings as words

REFERENCES = (BASELINE, "harache")
"""What each target is set beside: the fastest way without protection, and a safe one."""


@dataclass(frozen=True)
class Portrait:
    """One target's part."""

    target: Target
    runs_as: str
    findings: Sequence[str]
    shown: Shown


@dataclass(frozen=True, kw_only=True)
class Targets(Section):
    """The portraits, by name."""

    template: ClassVar[str] = "trials/targets.html.j2"
    portraits: Sequence[Portrait]

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no trial of a target counts."""
        portraits = list(_portraits(results))
        if not portraits:
            return None
        return cls(portraits=portraits, figures=[one.shown for one in portraits])


def _portraits(results: Results) -> Iterator[Portrait]:
    summary = results.common
    measured = set(summary[summary["trials"] > 0]["target"])
    for target in sorted(results.manifest.targets, key=lambda target: target.name):
        if target.name not in measured:
            continue
        others = [name for name in REFERENCES if name != target.name and name in measured]
        beside = f"beside {' and '.join(others)}" if others else "alone"
        draw = partial(throughput.beside, summary, [target.name, *others])
        file = re.sub(r"[^a-z0-9_]+", "-", f"target-{target.name}")
        yield Portrait(
            target,
            words.IDENTITIES[target.runs_as],
            words.beside(summary, target.name, others),
            Shown(file, f"{target.name} {beside}", "", draw),
        )
