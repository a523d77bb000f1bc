"""The options of `isobench density`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.options import Modes, Peers, Seed, drawn, split, targets
from harness.terminal import Terminal


def density(
    context: typer.Context,
    modes: Modes = None,
    peers: Peers = False,
    tenants: Annotated[
        str | None,
        typer.Option(
            metavar="N,N",
            help="Numbers of tenants, up to 10000. Default: 1,10,100,1000; with --quick 1,10,100.",
        ),
    ] = None,
    popularity: Annotated[
        str,
        typer.Option(metavar="P,P", help="How requests spread over tenants: uniform, zipf:S."),
    ] = "uniform,zipf:1",
    seconds: Annotated[
        float | None,
        typer.Option(metavar="S", min=0.1, max=60, help="Measured time of each load. Default: 1."),
    ] = None,
    wake: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Before the loads, request each tenant once, as far as this time allows. "
            "Default: 10s; with --quick 3s.",
        ),
    ] = None,
    cold: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=1000,
            help="Number of tenants in cold starts; 0: no cold starts. Default: 60; with --quick "
            "20.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Begin nothing more after this time, and name what is left out. "
            "Default: 10m; with --quick 150s.",
        ),
    ] = None,
    quick: Annotated[bool, options.quick("Fewer tenants, less precise.")] = False,
    seed: Seed = None,
    out: Annotated[Path | None, options.folder("density-")] = None,
    resume: Annotated[Path | None, options.resume("an interrupted study")] = None,
) -> None:
    """Measure throughput, memory and cold starts against the number of tenants."""
    from harness.commands.measuring import density as command
    from harness.density import procedure as plan
    from harness.plan import stopping

    if resume is not None:
        options.must_not_change(context)
        command.resume(resume, Terminal())
        return
    usual = plan.QUICK if quick else plan.Procedure()
    procedure = replace(
        usual,
        tenants=usual.tenants if tenants is None else plan.parse_tenants(tenants),
        popularities=split(popularity),
        seconds=usual.seconds if seconds is None else seconds,
        waking_s=usual.waking_s if wake is None else stopping.parse_span(wake, "--wake"),
        cold=usual.cold if cold is None else cold,
        budget_s=usual.budget_s if budget is None else stopping.parse_span(budget, "--budget"),
        seed=drawn(seed),
    )
    names = targets(modes)
    command.start(procedure, names, modes is not None, peers, out, Terminal())
