"""Options that several commands have, and how their values are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.commands import completion

Modes = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Targets, such as dso,cgi:spawn=fork. Default: all modes.",
        autocompletion=completion.modes,
    ),
]

Peers = Annotated[
    bool,
    typer.Option(
        "--peers",
        help="Also measure the real products that these modes re-enact, where installed.",
    ),
]

Module = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE", help="An Apache module that Debian does not package, such as mod_ruid2.so."
    ),
]

Key = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The key that the hosts share; serve makes it."),
]

REPORT = "Make report.html at the end; isobench report makes it at any other time."
Report = Annotated[bool, typer.Option("--report/--no-report", help=REPORT)]


def split(text: str) -> tuple[str, ...]:
    """Return the different words of a list, in their order."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
