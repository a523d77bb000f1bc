"""The options of `isobench doctor` and `selftest`: whether host and harness can be relied on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.options import Modes, Module, Seed, absolute, drawn, split_or
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
    from harness.commands.checking import doctor as command

    command.start(split_or(modes, None, "targets"), absolute(module), watch, Terminal())


def selftest(
    quick: Annotated[
        bool, options.quick("About a minute: fewer comparisons, less certain.")
    ] = False,
    disturb: Annotated[
        bool,
        typer.Option(
            "--disturb", help="Use half of the server's core meanwhile, in bursts of 0.1 to 2 s."
        ),
    ] = False,
    seed: Seed = None,
    out: Annotated[Path | None, options.new_folder("selftest-")] = None,
) -> None:
    """Test the harness itself: false alarms between equal targets, and known differences found."""
    from harness.commands.checking import selftest
    from harness.trial.beside import selftest_verdict

    usual = selftest_verdict.QUICK if quick else selftest_verdict.Procedure()
    procedure = replace(usual, disturbed=disturb)
    selftest.start(procedure, drawn(seed), out, Terminal())
