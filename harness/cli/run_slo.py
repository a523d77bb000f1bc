"""What `isobench run --slo` makes of its options: a search for the highest rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.cli.options import absolute, drawn, split, targets
from harness.errors import IsobenchError
from harness.terminal import Terminal


def must_have_promise(slo: str | None, rate_per_tenant: float | None) -> None:
    """Refuse a tenant's rate without a promise. Raises IsobenchError."""
    if rate_per_tenant is not None and slo is None:
        raise IsobenchError(
            "--rate-per-tenant goes with --slo", hint="add a promise, such as --slo 'p99 < 50ms'"
        )


def must_be_one(connection: str) -> None:
    """Refuse several connection handlings, as it looks at one. Raises IsobenchError."""
    if len(split(connection)) > 1:
        raise IsobenchError(
            "--slo looks at one connection handling at a time",
            hint="write --connection close, or --connection keep-alive",
        )


def search(given: Mapping[str, Any]) -> None:
    """Find the highest rate that keeps a promise; `given` are the values of `run`'s options."""
    from harness.commands.groundwork.beside_products import Products
    from harness.commands.measuring import slo
    from harness.plan import stopping
    from harness.slo import effort
    from harness.trial.generators.generator import usual_client
    from workloads import catalog

    _refuse_beside_slo(given)
    client, budget, connection = given["client"], given["budget"], given["connection"]
    usual, cautions = usual_client() if client is None else (client, ())
    as_given = (
        *("rate_per_tenant", "tenants", "popularity", "workers", "outstanding", "code_cache"),
        *("blocks", "seconds", "quick"),
    )
    study = effort.of(
        given["slo"],
        **{name: given[name] for name in as_given},
        workload=catalog.find(given["workload"].strip()).name,
        # Both are what other runs measure unless told otherwise; here it is one.
        connection=connection if len(split(connection)) == 1 else "close",
        client=usual,
        budget_s=None if budget is None else stopping.parse_span(budget, "--budget"),
        seed=drawn(given["seed"]),
    )
    modes = given["modes"]
    slo.start(
        study,
        targets(modes),
        modes is not None,
        Products(given["peers"], absolute(given["module"])),
        given["out"],
        Terminal(),
        cautions,
        report=given["report"],
    )


def _refuse_beside_slo(given: Mapping[str, Any]) -> None:
    """Raise IsobenchError for options that mean nothing where a promise is looked at."""
    without_use = {
        "--target": given["target"] is not None,
        "--otel": given["otel"],
        "--replay": given["replay"] is not None,
        "--load": given["load"] != "closed:8",
        "--precision": given["precision"] is not None,
        "--slices": given["slices"] is not None,
        "--cross-check": given["cross_check"] is not None,
        "--mechanisms": bool(given["mechanisms"]),
        "several of --workload": len(split(given["workload"])) > 1,
    }
    if wrong := " and ".join(name for name, is_given in without_use.items() if is_given):
        raise IsobenchError(
            f"--slo chooses its loads itself, one mode at a time: {wrong} cannot be used with it",
            hint=f"omit {wrong}",
        )
