"""The options of `isobench costs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from harness.cli import options
from harness.cli.options import Report, Seed, drawn
from harness.terminal import Terminal


def costs(
    seed: Seed = None,
    quick: Annotated[bool, options.quick("About 20 seconds, less precise.")] = False,
    out: Annotated[Path | None, options.folder("costs-")] = None,
    report: Report = True,
) -> None:
    """Measure what processes and interpreters cost on their own, without a server."""
    from harness.commands.measuring import costs as command
    from harness.costs import effort

    extent = effort.QUICK if quick else effort.USUAL
    command.start(extent, drawn(seed), out, Terminal(), report=report)
