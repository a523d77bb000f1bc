"""The options of `isobench density`."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Modes, Peers, split
from harness.terminal import Terminal


def density(
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
    quick: Annotated[bool, typer.Option("--quick", help="Fewer tenants, less precise.")] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of every random choice.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A new folder, or that of an earlier run, to extend its report. "
            "Default: results/density-<run-id>.",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Continue an interrupted study.")
    ] = None,
) -> None:
    """Measure throughput, memory and cold starts against the number of tenants."""
    from harness.commands import density as command
    from harness.commands import run as session
    from harness.density import procedure as plan
    from harness.plan import stopping

    if resume is not None:
        command.resume(resume, Terminal())
        return
    usual = plan.QUICK if quick else plan.Procedure()
    procedure = replace(
        usual,
        tenants=usual.tenants if tenants is None else plan.parse_tenants(tenants),
        popularities=split(popularity),
        seconds=usual.seconds if seconds is None else seconds,
        cold=usual.cold if cold is None else cold,
        budget_s=usual.budget_s if budget is None else stopping.parse_span(budget, "--budget"),
        seed=secrets.randbelow(2**31) if seed is None else seed,
    )
    names = session.every_target() if modes is None else split(modes)
    command.start(procedure, names, modes is not None, peers, out, Terminal())
