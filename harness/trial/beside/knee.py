"""Finds the load that each target can bear, so that a sweep can load each in proportion to it.

Strategy
========

**The same load means nothing to all.** 500 requests a second bore one target and drown another. So
each target is loaded in proportion to what it can do: its *knee*, the rate beyond which more users
bring no more answers.

**The knee** is looked for with closed loads of 1, 2, 4, 8 ... users, in short trials, as long as
the rate rises by more than `RISE`; one step without a rise may be chance, two are not. With
keep-alive more users than workers would starve, so the workers are the bound; else `MOST_USERS`.
The best rate seen is the knee's.

**The loads** are open, at 20, 50, 80 and 95% of the knee, measured in blocks and random order like
all else. Latency counts from the intended time of sending: near the knee a closed load would hold
back just the requests that had to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from harness.plan.loads import Closed, Knee, Sweep
from harness.plan.plan import PROBE_BLOCK, Plan, Spec
from harness.trial.bench import Bench
from harness.trial.outcome import Trial
from harness.trial.runner import Watcher

RISE = 0.05
PATIENCE = 2
MOST_USERS = 64
CLOSE_TO_BEST = 0.95

Search = tuple[str, str, str]
"""Target, workload and connection: what has a knee of its own."""


def wanted(plan: Plan) -> list[Search]:
    """Return the knees that a plan needs and does not have yet: none without a sweep.

    The ceilings come first: they say what the generator can do.
    """
    if not any(isinstance(load, Sweep) for load in plan.loads):
        return []
    found = {(knee.target, knee.workload, knee.connection) for knee in plan.knees}
    every = [
        (target, workload, connection)
        for target in (*plan.ceilings, *plan.targets)
        for workload in plan.workloads
        for connection in plan.connections
    ]
    return [search for search in every if search not in found]


def find_knees(
    plan: Plan,
    bench: Bench,
    watcher: Watcher,
    found: Callable[[Plan], None],
    failed: Callable[[Trial], None],
) -> Plan:
    """Return the plan with all the knees that it needs.

    `found` is given the plan after each knee, to write it down; `failed` a void trial, after
    which its target has a knee of 0 and is not swept.
    """
    for search in wanted(plan):
        knee = _find(search, plan, bench, watcher, failed)
        plan = replace(plan, knees=(*plan.knees, knee))
        found(plan)
    return plan


def _find(
    search: Search, plan: Plan, bench: Bench, watcher: Watcher, failed: Callable[[Trial], None]
) -> Knee:
    target, workload, connection = search

    def rate_of(users: int) -> float:
        spec = Spec(PROBE_BLOCK, users, target, workload, Closed(users), connection)
        watcher.begins(spec)
        trial = bench.measure(spec)
        watcher.ended(spec, trial.row)
        if trial.row.verdict != "ok":
            failed(trial)
        return trial.row.requests_per_second or 0.0

    return knee_of(search, climb(rate_of, most_users(plan, connection)))


def most_users(plan: Plan, connection: str) -> int:
    """Return how many users a search may go up to."""
    return plan.workers if connection == "keep-alive" else MOST_USERS


def climb(rate_of: Callable[[int], float], most: int) -> tuple[tuple[int, float], ...]:
    """Return the rate by number of users, doubled until the rate rises no more.

    `rate_of` measures; 0 stands for a measurement that failed, and ends the climb.
    """
    curve: list[tuple[int, float]] = []
    best, flat = 0.0, 0
    for users in doubled(most):
        rate = rate_of(users)
        curve.append((users, rate))
        flat = 0 if rate > best * (1 + RISE) else flat + 1
        best = max(best, rate)
        if rate == 0 or flat == PATIENCE:
            break
    return tuple(curve)


def doubled(most: int) -> Iterator[int]:
    """Yield 1, 2, 4, 8 ... and last `most`."""
    users = 1
    while users < most:
        yield users
        users *= 2
    yield most


def knee_of(search: Search, curve: Sequence[tuple[int, float]]) -> Knee:
    """Return the knee of a curve; its rate is 0 where a measurement failed."""
    rate = max(rate for _, rate in curve) if all(rate for _, rate in curve) else 0.0
    users = next(users for users, reached in curve if reached >= CLOSE_TO_BEST * rate)
    return Knee(*search, users=users, rate=rate, curve=tuple(curve))
