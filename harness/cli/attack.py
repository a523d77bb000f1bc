"""The options of `isobench attack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.options import Modes, Module, Peers, Report, absolute, drawn, split_or, targets
from harness.commands.guide import completion


def attack(
    context: typer.Context,
    modes: Modes = None,
    peers: Peers = False,
    module: Module = None,
    attacks: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Attacks, or families of attacks. Default: all.",
            autocompletion=completion.attacks,
        ),
    ] = None,
    quick: Annotated[
        bool, options.quick("Three contrasting modes only, less than a minute.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=64,
            help="How many servers are attacked at the same time. "
            "Default: two more than there are processors.",
        ),
    ] = None,
    seed: Annotated[int | None, options.seed("the order of attacks")] = None,
    out: Annotated[Path | None, options.folder()] = None,
    resume: Annotated[Path | None, options.resume("interrupted attacks")] = None,
    report: Report = True,
) -> None:
    """Run every attack against every mode, and show what each mode stops.

    With --peers, also against the real products that the modes re-enact.
    """
    from harness.commands.groundwork.beside_products import Products
    from harness.commands.measuring import attack as attack_run

    if resume is not None:
        options.must_not_change(context)
        attack_run.resume(resume, jobs=jobs, report=report)
        return
    usual = quick and modes is None
    attack_run.start(
        attack_run.QUICK_TARGETS if usual else targets(modes),
        modes is not None,
        split_or(attacks, (), "attacks"),
        drawn(seed),
        out,
        Products(peers, absolute(module)),
        jobs=jobs,
        report=report,
    )
