"""Options that several commands have, and how their values are read.

An option whose words differ from command to command, or that stands under a heading in one of them,
is made by a function; the others are types.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from harness.commands.guide import completion
from harness.errors import IsobenchError
from harness.plan.limits import MOST_TENANTS, MOST_WORKERS

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

Tenants = Annotated[int, typer.Option(metavar="N", max=MOST_TENANTS, help="Number of tenants.")]
Workers = Annotated[int, typer.Option(metavar="N", max=MOST_WORKERS, help="Number of workers.")]


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


_MOST_DIGITS: Final = 50
_NUMBER: Final = re.compile(rf"\d{{{_MOST_DIGITS}}}")
_SHOWN: Final = 40


def must_be_short(given: Mapping[str, object]) -> None:
    """Raise IsobenchError for a word that has a number which nothing can hold.

    As a float it would be infinite, and as an int Python may not read it (CVE-2020-10735). Names
    of files may have any.
    """
    words = (word for value in given.values() for word in _words(value))
    if too_long := next((word for word in words if _NUMBER.search(word)), None):
        raise IsobenchError(
            f"{too_long[:_SHOWN] + '...'!r} has a number of more digits than can be meant",
            hint="write a shorter number",
        )


def _words(value: object) -> Iterable[str]:
    if isinstance(value, str | int):
        return (str(value),)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else ()


def must_not_be_empty(given: Mapping[str, object], words: Iterable[str]) -> None:
    """Raise IsobenchError where a path is an empty word, which would be the present directory.

    That is what is left of `--out "$DIR"` where DIR is not set.
    """
    if not any(word == "" or (word.startswith("--") and word.endswith("=")) for word in words):
        return
    if empty := [name for name, value in given.items() if value in (Path(), [Path()])]:
        raise IsobenchError(
            f"{empty[0].replace('_', ' ')} is empty", hint="name it; . is the present directory"
        )


BESIDE_RESUME: Final = (
    *("resume", "report", "otel", "quick", "modes", "peers", "module", "seed"),
    "jobs",
)
"""What may be said beside --resume: what is not about the plan, which is that of the run, and what
`nox -s bench` shares among commands."""


def said(context: typer.Context) -> set[str]:
    """Return the names of the parameters whose values are not their defaults."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source and source.name != "DEFAULT"}


def must_not_change(context: typer.Context) -> None:
    """Raise IsobenchError for options beside --resume that would have no effect."""
    _refuse(
        sorted(said(context) - set(BESIDE_RESUME)),
        "--resume goes on as the folder's run.json says, and in that folder",
    )


def must_go_with(context: typer.Context, option: str, names: Iterable[str]) -> None:
    """Raise IsobenchError for those of `names` that were said without `option`."""
    given = said(context)
    if option not in given:
        _refuse(sorted(given & set(names)), f"there is no --{option} to use it with", option)


def _refuse(names: Iterable[str], reason: str, option: str = "") -> None:
    words = ("map" if name == "mapped" else name.replace("_", "-") for name in names)
    if useless := " and ".join(f"--{word}" for word in words):
        remedy = f", or add --{option}" if option else ""
        raise IsobenchError(f"{useless} has no effect: {reason}", hint=f"omit {useless}{remedy}")


Default = TypeVar("Default")


def split(text: str) -> tuple[str, ...]:
    """Return the different words of a list, in their order."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def split_or(text: str | None, default: Default, kind: str) -> tuple[str, ...] | Default:
    """Return the same, or `default` where no list was given.

    Raises IsobenchError for a list of nothing; `kind` is what it should name.
    """
    if text is None:
        return default
    if not (words := split(text)):
        raise IsobenchError(f"no {kind} are chosen", hint="name at least one, or omit the option")
    return words


def targets(modes: str | None) -> tuple[str, ...]:
    """Return the targets that were named, all modes where none was. Raises IsobenchError."""
    from harness.commands.running.run import every_target

    return split_or(modes, None, "targets") or every_target()


def drawn(seed: int | None) -> int:
    """Return the seed that was given, or else one that is drawn."""
    return secrets.randbelow(2**31) if seed is None else seed


def absolute(files: Iterable[Path] | None) -> tuple[Path, ...]:
    """Return the files that were given, wherever the command will be at work."""
    return tuple(path.resolve() for path in files or ())
