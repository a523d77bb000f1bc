"""The options of `isobench profile`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.options import Modes, Seed, drawn, targets
from harness.commands.guide import completion
from harness.terminal import Terminal


def profile(
    modes: Modes = None,
    workload: Annotated[
        str,
        typer.Option(metavar="W", help="Workload to request.", autocompletion=completion.workloads),
    ] = "hello",
    tenants: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of tenants, requested in rotation.")
    ] = 10,
    requests: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=10, help="Requests to each target; fewer if it is slow. Default: 300."
        ),
    ] = None,
    seed: Seed = None,
    quick: Annotated[bool, options.quick("About a minute, less precise.")] = False,
    out: Annotated[Path | None, options.folder("profile-")] = None,
) -> None:
    """Show where the time of a request goes in each mode: phases, system calls, traces."""
    from harness.commands.measuring import profile as profiling
    from harness.profile import profiler
    from harness.trial.beside import stamping_overhead

    usual = profiler.QUICK if quick else profiler.Procedure()
    procedure = replace(
        usual,
        workload=workload,
        tenants=tenants,
        requests=usual.requests if requests is None else requests,
        seed=drawn(seed),
    )
    comparison = stamping_overhead.QUICK if quick else stamping_overhead.Comparison()
    names = targets(modes)
    profiling.start(procedure, comparison, names, modes is not None, out, Terminal())
