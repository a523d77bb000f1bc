"""The options of `isobench costs`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Report
from harness.terminal import Terminal


def costs(
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of every random choice.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="About 20 seconds, less precise.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A new folder, or that of an earlier run, to extend its report. "
            "Default: results/costs-<run-id>.",
        ),
    ] = None,
    report: Report = True,
) -> None:
    """Measure what processes and interpreters cost on their own, without a server."""
    from harness.commands import costs as command
    from harness.costs import effort

    chosen = secrets.randbelow(2**31) if seed is None else seed
    command.start(effort.QUICK if quick else effort.USUAL, chosen, out, Terminal(), report=report)
