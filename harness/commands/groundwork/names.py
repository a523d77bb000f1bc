"""The names that a plan is given by: workloads, connections, clients, tools, popularities."""

from __future__ import annotations

from itertools import chain

from harness.commands.groundwork.bounds import check_bounds
from harness.errors import IsobenchError
from harness.plan.plan import CLIENTS, CONNECTIONS, Plan
from harness.trial.beside import crosscheck
from harness.trial.generators.generator import compiled_client_obstacle
from workloads import catalog, popularity
from workloads.errors import WorkloadError
from workloads.load.clients import library


def check_names(plan: Plan) -> None:
    """Refuse unknown names, and too much, before anything is started. Raises IsobenchError."""
    check_bounds(plan)
    for name in chain.from_iterable(map(catalog.parts, plan.workloads)):
        catalog.find(name)
    for name in plan.connections:
        if name not in CONNECTIONS:
            raise IsobenchError(
                f"unknown connection handling {name!r}",
                hint=f"choose one of {', '.join(CONNECTIONS)}",
            )
    if plan.client not in CLIENTS:
        raise IsobenchError(
            f"unknown client {plan.client!r}", hint=f"choose one of {', '.join(CLIENTS)}"
        )
    if plan.client == "compiled" and (reason := compiled_client_obstacle()):
        raise IsobenchError(f"there is no compiled client: {reason}", hint=library.REMEDY)
    if plan.cross_check is not None:
        crosscheck.find(plan.cross_check)
    try:
        if plan.replay is None:
            popularity.parse(plan.popularity)
    except WorkloadError as error:
        raise IsobenchError(str(error), hint=error.hint) from error
