"""When a run has measured enough. Pure: trials in, a decision out.

Strategy
========

A run ends after the blocks it was given, or (`--precision`, `--budget`) goes on until its intervals
are narrow enough or its time is spent; the number of blocks is then only a bound. This is asked
between blocks, never within one, so that each block stays complete and pairs stay pairs.

**Precision.** Under each closed load, every target's ratio to the baseline, and the baseline's own
rate (each target's rate, where there is no baseline), must be known to within plus or minus the
share asked for. Looking at the intervals after each block and ending at the first narrow one
favours intervals that are narrow by chance: with two blocks that would happen all the time, so
there are at least five. What is looked at is the width alone and never the value, so the values
themselves are not selected. Open loads have their rate given and are not asked.

**What more would cost.** A run that was not asked for a precision says at its end what it takes
to know each ratio to within the smallest effect of interest: that is how sure one has to be to call
a small difference the same. From fewer than five blocks that cannot be told.

**Budget.** A block begins only if the last one's length still fits. The time spent is that of the
trials in the folder, so that a resumed run goes on with what is left of its budget. The first
block is always made.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from harness.errors import IsobenchError
from harness.plan.plan import PROBE_BLOCK, Plan
from harness.results.summary import BASELINE, block_values
from harness.stats.intervals import geometric_interval
from harness.stats.significance import blocks_for_precision

LEAST_BLOCKS = 5
MOST_BLOCKS = 200
"""The bound where a run goes on for precision or a budget, and nobody has named one."""

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|[smh])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


class End(enum.StrEnum):
    """What ended a run."""

    BLOCKS = "blocks"
    PRECISION = "precision"
    BUDGET = "budget"


@dataclass(frozen=True)
class Wanting:
    """An interval that is still too wide.

    `within` is its half width as a share, None where there are too few good blocks to tell;
    `more_blocks` would make it narrow enough.
    """

    target: str
    condition: str
    within: float | None
    more_blocks: int | None


@dataclass(frozen=True)
class Stop:
    """The end of a run: why, after how many blocks and seconds, and what is left to be desired.

    `block_s` is the length of the last block: what another would cost. `precision` is what was
    asked for, None if nothing was, and `aim` the share that the intervals in `wanting` exceed.
    """

    by: End
    blocks: int
    spent_s: float
    block_s: float
    precision: float | None
    aim: float
    wanting: tuple[Wanting, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the content of `stopped` in run.json."""
        return {**asdict(self), "by": str(self.by)}


def decide(plan: Plan, trials: pd.DataFrame, baseline: str = BASELINE) -> Stop | None:
    """Return how the run ends after the blocks in `trials`, all complete; None if it goes on."""
    trials = trials[trials["block"] > PROBE_BLOCK]
    blocks = int(trials["block"].max()) if len(trials) else 0
    if blocks == 0:
        return None
    spent_s, block_s = _spent(trials, blocks)
    aim = plan.precision or plan.smallest_effect
    wanting: tuple[Wanting, ...] = ()
    if plan.precision or blocks >= LEAST_BLOCKS:
        wanting = tuple(too_wide(aim, trials, baseline))
    end = _end(plan, blocks, spent_s + block_s, precise=bool(plan.precision) and not wanting)
    return Stop(end, blocks, spent_s, block_s, plan.precision, aim, wanting) if end else None


def _end(plan: Plan, blocks: int, next_s: float, *, precise: bool) -> End | None:
    if precise and blocks >= min(LEAST_BLOCKS, plan.blocks):
        return End.PRECISION
    if blocks >= plan.blocks:
        return End.BLOCKS
    if plan.budget_s is not None and next_s > plan.budget_s:
        return End.BUDGET
    return None


def _spent(trials: pd.DataFrame, last: int) -> tuple[float, float]:
    """Return the seconds that all trials took, and those of the last block."""
    took_s = trials["took_s"].astype(float).fillna(0.0)
    return float(took_s.sum()), float(took_s[trials["block"] == last].sum())


def too_wide(aim: float, trials: pd.DataFrame, baseline: str = BASELINE) -> Iterator[Wanting]:
    """Yield each interval that is wider than plus or minus the share `aim`.

    A target without a good trial is left out: no more blocks would mend it.
    """
    trials = trials[trials["load"].str.startswith("closed:")]
    ratio = f"ratio_to_{baseline}"
    for (target, condition), values in block_values(
        trials, ["requests_per_second", ratio], baseline
    ).items():
        paired = target != baseline and len(values[ratio]) > 0
        known: Sequence[float] = values[ratio] if paired else values["requests_per_second"]
        width = geometric_interval(known).width
        if not width <= aim:
            needed = blocks_for_precision(known, aim)
            yield Wanting(
                target,
                condition.words(),
                None if math.isnan(width) else width,
                None if needed is None else max(1, needed - len(known)),
            )


def parse_span(text: str, option: str) -> float:
    """Return seconds: "20ms", "90s", "10m" or "1.5h". Raises IsobenchError."""
    match = _SPAN.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise IsobenchError(
            f"{option} {text!r} is not a time",
            hint=f"write it like {option} 20ms, 90s, 10m or 1.5h",
        )
    return float(match[1]) * _SECONDS[match[2]]
