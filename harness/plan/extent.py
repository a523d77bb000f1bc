"""How long a run takes where its user has not said: blocks, seconds, precision and budget. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.plan.interleaving import SHORTEST_S
from harness.plan.loads import Closed
from harness.plan.plan import Plan
from harness.plan.stopping import MOST_BLOCKS


@dataclass(frozen=True)
class Extent:
    """Seconds are those of a target in a block, `budget_s` is of one condition; `blocks` a number.

    `precision` and `budget_s` decide of interleaved targets, `blocks` of those that are measured
    one after the other.
    """

    seconds: float
    warmup_s: float
    precision: float
    budget_s: float
    alone_seconds: float
    alone_warmup_s: float
    blocks: int


USUAL = Extent(0.45, 0.1, 0.05, 120.0, 1.0, 0.3, 5)
QUICK = Extent(0.45, 0.1, 0.15, 50.0, 0.3, 0.15, 2)


@dataclass(frozen=True)
class Wanted:
    """What a user has said; None where nothing. `alone` asks for no slices."""

    blocks: int | None = None
    seconds: float | None = None
    precision: float | None = None
    budget_s: float | None = None
    slice_s: float | None = None
    alone: bool = False


def of(chosen: Plan, wanted: Wanted, *, quick: bool) -> Plan:
    """Return a plan with its extent. Raises IsobenchError where that means nothing.

    With blocks alone, these are made. With a precision alone, the run goes on until it is reached.
    Else it goes on until the usual precision is reached or the budget is over, if all of its loads
    are closed and interleaved; with others it has the usual number of blocks.
    """
    usual = QUICK if quick else USUAL
    interleaved = not wanted.alone and (chosen.client != "fasthttp" or wanted.slice_s is not None)
    seconds = usual.seconds if interleaved else usual.alone_seconds
    seconds = seconds if wanted.seconds is None else wanted.seconds
    plan = replace(
        chosen,
        seconds=seconds,
        warmup_s=usual.warmup_s if interleaved else usual.alone_warmup_s,
        slice_s=None if not interleaved else wanted.slice_s or min(SHORTEST_S, seconds),
        precision=wanted.precision,
        budget_s=wanted.budget_s,
    )
    if wanted.blocks is not None:
        return replace(plan, blocks=wanted.blocks)
    if wanted.precision is not None:
        return replace(plan, blocks=MOST_BLOCKS)
    all_closed = all(isinstance(load, Closed) for load in plan.loads)
    if interleaved and all_closed:
        budget_s = usual.budget_s * _conditions(plan)
        budget_s = budget_s if wanted.budget_s is None else wanted.budget_s
        return replace(plan, blocks=MOST_BLOCKS, precision=usual.precision, budget_s=budget_s)
    return replace(plan, blocks=usual.blocks if wanted.budget_s is None else MOST_BLOCKS)


def _conditions(plan: Plan) -> int:
    return len(plan.workloads) * len(plan.loads) * len(plan.connections)
