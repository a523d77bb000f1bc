"""How much a run may have of each: more would take the host down before anything is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from harness.errors import IsobenchError
from harness.plan.limits import MOST_TENANTS, MOST_WORKERS
from harness.plan.loads import Closed
from harness.plan.plan import Plan

MOST: Final[Mapping[str, int]] = {
    "users": 10_000,
    "workers": MOST_WORKERS,
    "tenants": MOST_TENANTS,
    "outstanding": 10_000,
    "blocks": 10_000,
    "seconds": 1_000_000,
    "budget_s": 1_000_000,
}
"""A plan has a line for each trial of each block."""
_UNITS: Final = {"budget_s": "seconds of --budget", "outstanding": "outstanding requests"}


def check_bounds(plan: Plan) -> None:
    """Refuse a plan with more than `MOST`. Raises IsobenchError."""
    for name, number in _amounts(plan):
        if number is not None and number > MOST[name]:
            how = "--load closed:N" if name == "users" else f"--{name.removesuffix('_s')}"
            raise IsobenchError(
                f"{number:,} {_UNITS.get(name, name)} are more than isobench measures with",
                hint=f"choose up to {MOST[name]:,} with {how}",
            )


def _amounts(plan: Plan) -> Iterator[tuple[str, float | None]]:
    for load in plan.loads:
        if isinstance(load, Closed):
            yield "users", load.users
    for name in MOST.keys() - {"users"}:
        yield name, getattr(plan, name)
