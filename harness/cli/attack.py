"""The options of `isobench attack`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Modes, Module, Peers, Report, split
from harness.commands import completion


def attack(
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
        bool, typer.Option("--quick", help="Three contrasting modes only, less than a minute.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of the order of attacks.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A new folder, or that of an earlier run, to extend its report. "
            "Default: results/<run-id>.",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Continue interrupted attacks.")
    ] = None,
    report: Report = True,
) -> None:
    """Run every attack against every mode, and show what each mode stops.

    With --peers, also against the real products that the modes re-enact.
    """
    from harness.commands import attack as attack_run
    from harness.commands import run as session

    if resume is not None:
        attack_run.resume(resume, report=report)
        return
    names = attack_run.QUICK_TARGETS if quick else session.every_target()
    attack_run.start(
        names if modes is None else split(modes),
        modes is not None,
        () if attacks is None else split(attacks),
        secrets.randbelow(2**31) if seed is None else seed,
        out,
        session.Products(peers, tuple(path.resolve() for path in module or ())),
        report=report,
    )
