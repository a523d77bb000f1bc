"""What no run can measure, or what would not mean what it seems to. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.errors import IsobenchError
from harness.plan.loads import Closed, Open, Sweep

if TYPE_CHECKING:
    from harness.plan.plan import Plan


def check(plan: Plan) -> None:
    """Raise IsobenchError for a plan with which a run should not begin."""
    _refuse_emptiness(plan)
    _refuse_starvation(plan)
    _refuse_open_load_of_other_client(plan)
    _refuse_cross_check_of_nothing(plan)
    _refuse_meaningless_precision(plan)
    _refuse_zeros(plan)
    _refuse_meaningless_slices(plan)


def _refuse_emptiness(plan: Plan) -> None:
    for name in ("targets", "workloads", "loads", "connections"):
        if not getattr(plan, name):
            raise IsobenchError(
                f"no {name} are chosen", hint="name at least one, or omit the option"
            )


def _refuse_starvation(plan: Plan) -> None:
    if "keep-alive" not in plan.connections:
        return
    users = max((load.users for load in plan.loads if isinstance(load, Closed)), default=0)
    if users > plan.workers:
        raise IsobenchError(
            f"with keep-alive, {users} users starve on {plan.workers} workers: "
            "a worker serves one connection until it closes",
            hint=f"use --workers {users}, fewer users, or --connection close",
        )
    if any(isinstance(load, Open | Sweep) for load in plan.loads) and (
        plan.bound("keep-alive") > plan.workers
    ):
        raise IsobenchError(
            f"with keep-alive, {plan.outstanding} outstanding requests starve on "
            f"{plan.workers} workers: a worker serves one connection until it closes",
            hint=f"use --outstanding {plan.workers}, more workers, or --connection close",
        )


def _refuse_open_load_of_other_client(plan: Plan) -> None:
    if plan.client == "fasthttp" and any(isinstance(load, Open | Sweep) for load in plan.loads):
        raise IsobenchError(
            f"the client {plan.client} cannot send at intended times, as an open load requires",
            hint="use --client lean, or closed loads only",
        )


def _refuse_cross_check_of_nothing(plan: Plan) -> None:
    if plan.cross_check and not any(isinstance(load, Closed) for load in plan.loads):
        raise IsobenchError(
            f"{plan.cross_check} can generate closed loads only, and this run has none",
            hint="add one, such as --load closed:8, or omit --cross-check",
        )


def _refuse_meaningless_precision(plan: Plan) -> None:
    shares = [share for share in (plan.precision, plan.smallest_effect) if share is not None]
    if not all(0 < share < 1 for share in shares) or not (plan.budget_s or 1) > 0:
        raise IsobenchError(
            "--precision and --smallest-effect must be between 0 and 100%, and --budget above zero",
            hint="write them like --precision 3%, --smallest-effect 3%, --budget 10m",
        )
    if plan.precision and not any(isinstance(load, Closed) for load in plan.loads):
        raise IsobenchError(
            "--precision needs a closed load: an open load's rate is given, not measured",
            hint="add a closed load, such as --load closed:8, or use --budget or --blocks",
        )


def _refuse_zeros(plan: Plan) -> None:
    counts = {name: getattr(plan, name) for name in ("blocks", "tenants", "workers")}
    wrong = [name for name, count in counts.items() if count < 1]
    wrong += ["outstanding"] if plan.bound("close") < 1 else []
    wrong += [] if plan.seconds > 0 and math.isfinite(plan.seconds) else ["seconds"]
    if wrong:
        raise IsobenchError(
            f"{' and '.join(wrong)} must be a number above 0",
            hint=f"omit --{wrong[0]} to use its default",
        )


def _refuse_meaningless_slices(plan: Plan) -> None:
    if plan.slice_s is None:
        return
    if not 0.005 <= plan.slice_s <= plan.seconds:
        raise IsobenchError(
            f"slices of {plan.slice_s * 1000:g} ms are out of range: 5 ms to {plan.seconds:g} s, a "
            "target's measured time in a block",
            hint="use --slices 20ms, or omit it; --slices off measures each target alone",
        )
    if plan.client == "fasthttp":
        raise IsobenchError(
            f"the client {plan.client} cannot interleave targets",
            hint="use --slices off, or another client",
        )
