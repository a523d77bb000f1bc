"""The options of `isobench neighbour`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.options import Modes, Seed, Workers, drawn, split_or, targets
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
    workers: Workers = 4,
    blocks: Annotated[
        int,
        typer.Option(metavar="N", help="How many times to measure; more make intervals narrower."),
    ] = 2,
    seconds: Annotated[
        float,
        typer.Option(
            metavar="S", help="Length of each noise in a block; up to four times for slow targets."
        ),
    ] = 0.35,
    seed: Seed = None,
    quick: Annotated[bool, options.quick("Three contrasting modes only, about a minute.")] = False,
    out: Annotated[Path | None, options.folder("neighbour-")] = None,
) -> None:
    """Measure how a noisy tenant, which floods, computes, forks and the like, slows a quiet one."""
    from harness.commands.measuring import neighbour as command
    from harness.neighbour import noises
    from harness.neighbour.effort import Effort

    usual = quick and modes is None
    command.start(
        Effort(blocks=blocks, seconds=seconds, rate=rate, workers=workers),
        command.QUICK_TARGETS if usual else targets(modes),
        modes is not None,
        noises.choose(split_or(noise, (), "noises")),
        limits,
        drawn(seed),
        out,
        Terminal(),
    )
