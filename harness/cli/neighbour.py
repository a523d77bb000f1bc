"""The options of `isobench neighbour`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Modes, split
from harness.terminal import Terminal


def neighbour(
    modes: Modes = None,
    noise: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="flood, cpu, memory, forks, disk, slow. Default: all."),
    ] = None,
    limits: Annotated[
        str,
        typer.Option(
            metavar="off|on|both",
            help="Per-tenant limits, by cgroup where the host delegates it, and by rlimits.",
        ),
    ] = "both",
    rate: Annotated[
        float,
        typer.Option(
            metavar="R", help="The quiet tenant's requests a second; fewer for slow targets."
        ),
    ] = 100.0,
    workers: Annotated[int, typer.Option(metavar="N", help="Number of workers.")] = 4,
    blocks: Annotated[
        int | None, typer.Option(metavar="N", help="How many times to measure. Default: 3.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(metavar="S", help="Length of each noise in a block.")
    ] = 0.5,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of every random choice.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Three contrasting modes only, about a minute.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A new folder, or that of an earlier run, to extend its report. "
            "Default: results/neighbour-<run-id>.",
        ),
    ] = None,
) -> None:
    """Measure what one tenant's flood, computing, memory, forks and the like do to another."""
    from harness.commands import neighbour as command
    from harness.commands import run as session
    from harness.neighbour import noises
    from harness.neighbour.effort import Effort

    names = command.QUICK_TARGETS if quick else session.every_target()
    command.start(
        Effort(
            blocks=(2 if quick else 3) if blocks is None else blocks,
            seconds=seconds,
            rate=rate,
            workers=workers,
        ),
        names if modes is None else split(modes),
        modes is not None,
        noises.choose(() if noise is None else split(noise)),
        limits,
        secrets.randbelow(2**31) if seed is None else seed,
        out,
        Terminal(),
    )
