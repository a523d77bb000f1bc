"""The options of `isobench doctor` and `selftest`: whether host and harness can be relied on."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Modes, Module, split
from harness.terminal import Terminal


def doctor(
    modes: Modes = None,
    module: Module = None,
    watch: Annotated[
        float,
        typer.Option(
            metavar="S", min=0, max=600, help="Watch the host's speed for S seconds; 0: not at all."
        ),
    ] = 10,
) -> None:
    """Show which modes this host can run, what the others need, and what harms measurements."""
    from harness.commands import doctor as command

    modules = [path.resolve() for path in module or ()]
    command.start(None if modes is None else split(modes), modules, watch, Terminal())


def selftest(
    quick: Annotated[
        bool, typer.Option("--quick", help="About a minute: fewer comparisons, less certain.")
    ] = False,
    disturb: Annotated[
        bool,
        typer.Option(
            "--disturb", help="Use half of the server's core meanwhile, in bursts of 0.1 to 2 s."
        ),
    ] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of every random choice.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A new folder. Default: results/selftest-<run-id>."),
    ] = None,
) -> None:
    """Test the harness itself: false alarms between equal targets, and known differences found."""
    from harness.commands import selftest
    from harness.trial import selftest_verdict

    usual = selftest_verdict.QUICK if quick else selftest_verdict.Procedure()
    procedure = replace(usual, disturbed=disturb)
    chosen = secrets.randbelow(2**31) if seed is None else seed
    selftest.start(procedure, chosen, out, Terminal())
