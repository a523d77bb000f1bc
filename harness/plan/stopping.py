"""When a run has measured enough. Pure: trials in, a decision out.

Strategy
========

A run goes on until its intervals are narrow enough (`--precision`) or its time is spent
(`--budget`), or ends after the blocks that it was given (`--blocks`). This is asked between blocks,
never within one, so that each block stays complete and pairs stay pairs.

**Precision.** Under each closed load, every target's ratio to the baseline (each target's rate,
where there is no baseline) must be known to within plus or minus the share asked for. For targets
slower than a hundredth of the baseline twice that share will do: a block has few of their requests.
Open loads have their rate given and are not asked.

**Looking repeatedly.** To look at the intervals after each block and to end at the first narrow one
favours intervals that are narrow by chance. So a run is looked at seldom, and by plan (Stein 1945;
Cox 1952): the first five blocks tell how much blocks scatter, hence how many it takes; the run is
looked at again when these are made, and if it is not precise yet, their scatter tells how many more
it takes. What is looked at is the width alone and never the value, so values are not selected.
Student's interval of all blocks then holds what it promises
(tests/harness/plan/test_stopping_coverage.py runs the whole procedure on a thousand simulated hosts
whose speed jumps).

**What more would cost.** At its end a run says what it takes to know each ratio as well as was
asked for, or, where nothing was, to within the smallest effect of interest. From fewer than five
blocks that cannot be told.

**Budget.** A block begins only if the last one's length still fits. The time spent is that of the
trials in the folder, so that a resumed run goes on with what is left of its budget. The first
block is always made.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from harness.errors import IsobenchError
from harness.plan.plan import PROBE_BLOCK, Plan
from harness.results.blocks import block_values, scatters_of
from harness.results.conditions import BASELINE, Key
from harness.stats.intervals import geometric_interval
from harness.stats.moderation import UNKNOWN
from harness.stats.significance import blocks_for_precision

FIRST_LOOK = 5
"""After how many blocks a run is looked at first."""
SLOW, SLOW_AIM = 0.01, 2.0
"""A target slower than this share of the baseline need be known to so many times the precision."""
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

    `within` is its half width as a share, None where there are too few valid blocks for one;
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
    # The page that is measured beside need not be known so well: it is there to check a prediction.
    known = asked_for(trials[trials["workload"].isin(plan.workloads)], baseline)
    precise = bool(plan.precision) and is_precise(known, aim, blocks, plan.blocks)
    end = _end(plan, blocks, spent_s + block_s, precise=precise)
    if end is None:
        return None
    wanting = tuple(too_wide(known, aim)) if plan.precision or blocks >= FIRST_LOOK else ()
    return Stop(end, blocks, spent_s, block_s, plan.precision, aim, wanting)


def _end(plan: Plan, blocks: int, next_s: float, *, precise: bool) -> End | None:
    if precise:
        return End.PRECISION
    if blocks >= plan.blocks:
        return End.BLOCKS
    if plan.budget_s is not None and next_s > plan.budget_s:
        return End.BUDGET
    return None


def is_precise(
    known: Mapping[Key, Sequence[float]], aim: float, blocks: int, most: int = MOST_BLOCKS
) -> bool:
    """Return whether this is a block after which the run is looked at, and precise enough.

    `known` has a value a block of each ratio or rate, by target and condition. One without a value
    is left out: no more blocks would mend it.
    """
    look = min(FIRST_LOOK, most)
    while look < blocks:
        look = max(look + 1, _needed(known, aim, look))
    return look == blocks and _needed(known, aim, blocks) <= blocks


def _needed(known: Mapping[Key, Sequence[float]], aim: float, blocks: int) -> int:
    """Return how many blocks it takes, as far as these first ones tell."""
    first = {key: values[:blocks] for key, values in known.items() if values}
    scatters = scatters_of(first)
    needed = [
        blocks_for_precision(values, _aim_for(known[key], aim), scatters.get(key[1], UNKNOWN))
        for key, values in first.items()
    ]
    return max((one or blocks + 1 for one in needed), default=0)


def _aim_for(ratios: Sequence[float], aim: float) -> float:
    """Return how well a ratio need be known: less well where a block has few requests."""
    return aim * SLOW_AIM if geometric_interval(ratios).mid < SLOW else aim


def _spent(trials: pd.DataFrame, last: int) -> tuple[float, float]:
    """Return the seconds that all trials took, and those of the last block."""
    took_s = trials["took_s"].astype(float).fillna(0.0)
    return float(took_s.sum()), float(took_s[trials["block"] == last].sum())


def asked_for(trials: pd.DataFrame, baseline: str = BASELINE) -> dict[Key, Sequence[float]]:
    """Return what must be precise: one value a block, by target and condition.

    The ratios to the baseline, or where there is none the rates. With a baseline its own rate is
    not asked for: it is that of this hour of the host.
    """
    trials = trials[trials["load"].str.startswith("closed:")]
    ratio = f"ratio_to_{baseline}"
    values = block_values(trials, ["requests_per_second", ratio], baseline)
    paired = any(one[ratio] for (target, _), one in values.items() if target != baseline)
    name = ratio if paired else "requests_per_second"
    return {key: one[name] for key, one in values.items() if not (paired and key[0] == baseline)}


def too_wide(known: Mapping[Key, Sequence[float]], aim: float) -> Iterator[Wanting]:
    """Yield each interval that is wider than plus or minus what is asked for."""
    scatters = scatters_of(known)
    for (target, condition), values in known.items():
        scatter = scatters.get(condition, UNKNOWN)
        width = geometric_interval(values, scatter=scatter).width
        if values and not width <= _aim_for(values, aim):
            needed = blocks_for_precision(values, _aim_for(values, aim), scatter)
            yield Wanting(
                target,
                condition.words(),
                None if math.isnan(width) else width,
                None if needed is None else max(1, needed - len(values)),
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
