"""Options that several commands have, and how their values are read.

An option whose words differ from command to command, or that stands under a heading in one of them,
is made by a function; the others are types.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from harness.commands.guide import completion

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
        help="Also measure the real products that these modes re-enact, if installed.",
    ),
]

Module = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE", help="An Apache module that Debian does not package, such as mod_ruid2.so."
    ),
]

Tenants = Annotated[int, typer.Option(metavar="N", help="Number of tenants.")]
Workers = Annotated[int, typer.Option(metavar="N", help="Number of workers.")]


def seed(of: str = "every random choice", heading: str | None = None) -> Any:
    """Return the option --seed."""
    return typer.Option(metavar="N", min=0, help=f"Seed of {of}.", rich_help_panel=heading)


Seed = Annotated[int | None, seed()]


def key(heading: str | None = None) -> Any:
    """Return the option --key."""
    return typer.Option(
        metavar="FILE",
        help="The key that the hosts share; serve creates it.",
        rich_help_panel=heading,
    )


Key = Annotated[Path | None, key()]


def report(heading: str | None = None) -> Any:
    """Return the option --report."""
    return typer.Option(
        "--report/--no-report",
        help="Make report.html at the end; isobench report makes it at any other time.",
        rich_help_panel=heading,
    )


Report = Annotated[bool, report()]


def quick(promise: str, heading: str | None = None) -> Any:
    """Return the option --quick, which says how long it takes or what it leaves out."""
    return typer.Option("--quick", help=promise, rich_help_panel=heading)


def new_folder(kind: str, heading: str | None = None) -> Any:
    """Return the option --out of a command that makes a folder."""
    return typer.Option(
        metavar="DIR",
        help=f"A new folder. Default: results/{kind}<run-id>.",
        rich_help_panel=heading,
    )


def folder(kind: str = "") -> Any:
    """Return the option --out of a command that can also add to the folder of an earlier run."""
    return typer.Option(
        metavar="DIR",
        help="A new folder, or that of an earlier run, to extend its report. "
        f"Default: results/{kind}<run-id>.",
    )


def resume(what: str, heading: str | None = None) -> Any:
    """Return the option --resume."""
    return typer.Option(metavar="DIR", help=f"Continue {what}.", rich_help_panel=heading)


def smallest_effect(of: str = "change", heading: str | None = None) -> Any:
    """Return the option --smallest-effect."""
    return typer.Option(
        metavar="P%", help=f"Treat a smaller {of} as none.", rich_help_panel=heading
    )


Default = TypeVar("Default")


def split(text: str) -> tuple[str, ...]:
    """Return the different words of a list, in their order."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def split_or(text: str | None, default: Default) -> tuple[str, ...] | Default:
    """Return the same, or `default` where no list was given."""
    return default if text is None else split(text)


def targets(modes: str | None) -> tuple[str, ...]:
    """Return the targets that were named, all modes where none was."""
    from harness.commands.running.run import every_target

    return every_target() if modes is None else split(modes)


def drawn(seed: int | None) -> int:
    """Return the seed that was given, or else one that is drawn."""
    return secrets.randbelow(2**31) if seed is None else seed


def absolute(files: Iterable[Path] | None) -> tuple[Path, ...]:
    """Return the files that were given, wherever the command will be at work."""
    return tuple(path.resolve() for path in files or ())
