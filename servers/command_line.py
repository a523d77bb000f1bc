"""What the command lines of servers have in common: where to run, as whom, with which files.

For programs that start a server; a running one does not load this.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httptools

import servers
from servers.errors import Unavailable
from servers.kernel.credentials import Identity, current
from servers.launch import refuse


class UsageError(Exception):
    """The command cannot be carried out as given; `hint` says what to do."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


def parser_of(program: str, kind: str, names: Sequence[str], about: str) -> argparse.ArgumentParser:
    """Return a parser of the options that every server has; `kind` is what `names` are names of."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    add = parser.add_argument
    add(kind, nargs="?", metavar=kind.upper(), help="one of: " + ", ".join(names))
    add("--list", action="store_true", help=f"describe all {kind}s as JSON")
    add("--check", action="store_true", help=f"only check whether this host can run the {kind}")
    add("--port", type=int, default=8080, help="0: any free one (default: %(default)s)")
    add("--sites", type=Path, help="the directory of the tenants' sites")
    add("--private", type=Path, help="where to make a directory for the server's own files")
    add("--workers", type=count, default=4, help="(default: %(default)s)")
    add("--www", metavar="UID:GID", help="the server's own identity, if started as root")
    add("--option", action="append", default=[], metavar="NAME=VALUE", help=f"a {kind}'s factor")
    add("--cgroup", type=Path, help="join this cgroup (v2) first")
    add("--cpus", metavar="N,N", help="run on these processors only")
    add("--control", action="store_true", help="read commands from stdin, and stop at its end")
    return parser


def sites_directory(given: Path | None, kind: str) -> Path:
    """Return the directory of the tenants' sites, resolved."""
    if given is None or not given.is_dir():
        raise UsageError(
            f"{given or '--sites'} is not a directory of sites",
            f"`isobench serve {kind.upper()}` makes some; or name one with --sites DIR",
        )
    return given.resolve()


def unknown(kind: str, name: str | None, names: Sequence[str]) -> UsageError:
    """Return the refusal of a name that none of that kind has."""
    return UsageError(f"unknown {kind} {name!r}", f"choose one of: {', '.join(names)}")


def chosen_options(
    kind: str, factors: Mapping[str, tuple[str, ...]], texts: Sequence[str]
) -> dict[str, str]:
    """Return what NAME=VALUE texts choose of `factors`, each of which has some values."""
    chosen = {}
    for text in texts:
        name, _, value = text.partition("=")
        if value not in factors.get(name, ()):
            known = " ".join(f"{factor}={'|'.join(values)}" for factor, values in factors.items())
            raise UsageError(f"unknown option: {text}", f"this {kind}'s options: {known or 'none'}")
        chosen[name] = value
    return chosen


def explained(action: Callable[[], int], control: bool) -> int:
    """Return what `action` returns; turn its refusal into a message and the exit status 2."""
    try:
        return action()
    except (UsageError, Unavailable) as error:
        return refuse(error, control)


def own_files() -> list[Path]:
    """Return where the interpreter and the server itself are, which a closed home may hold."""
    given = [Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    packages = [Path(str(module.__file__)).resolve().parent for module in (servers, httptools)]
    prefixes = Path(sys.base_prefix), Path(sys.base_exec_prefix)
    return [*prefixes, *packages, *filter(Path.is_dir, given)]


@contextlib.contextmanager
def private_directory(given: Path | None) -> Iterator[Path]:
    """Provide a new directory, in `given` if that is named; it is removed afterwards.

    New each time: where no namespace hides it, what an earlier server left in `given` is neither
    in the way nor to be trusted.
    """
    if given is not None and not given.is_dir():
        raise UsageError(f"{given} is not a directory", "create it, or omit --private")
    made = (given or _temporary()).resolve() / f"isobench-private-{os.urandom(8).hex()}"
    made.mkdir(mode=0o700)
    try:
        made.chmod(0o711)  # www passes through it to the setuid wrapper
        yield made
    finally:
        _remove(made)


def _temporary() -> Path:
    import tempfile  # here, since it takes a sixth of the time in which all else is loaded

    return Path(tempfile.gettempdir())


def _remove(directory: Path) -> None:
    """Remove a directory and what is in it, as far as that can be. Follows no link."""
    with contextlib.suppress(OSError):
        for _, directories, files, place in os.fwalk(directory, topdown=False):
            for name in files:
                os.unlink(name, dir_fd=place)
            for name in directories:
                _remove_directory(name, place)
        directory.rmdir()


def _remove_directory(name: str, place: int) -> None:
    try:
        os.rmdir(name, dir_fd=place)
    except NotADirectoryError:
        os.unlink(name, dir_fd=place)  # a link to one


def take_place(arguments: argparse.Namespace) -> None:
    """Go where the harness wants to measure us, before there are children to leave behind."""
    try:
        if arguments.cgroup:
            (arguments.cgroup / "cgroup.procs").write_text("0")
        if arguments.cpus:
            os.sched_setaffinity(0, {int(number) for number in arguments.cpus.split(",")})
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot run there: {error}",
            "--cgroup takes a directory of a cgroup2 file system, --cpus numbers such as 0,1",
        ) from error


def identity(text: str | None) -> Identity:
    """Return www's identity: as given, or that of an ordinary user who runs the server."""
    if text is None:
        if os.geteuid() == 0:
            raise UsageError(
                "as root, the server needs an identity to run as",
                "give --www UID:GID, two numbers that no user of this host has",
            )
        return current()
    uid, colon, gid = text.partition(":")
    if not (colon and _is_id(uid) and _is_id(gid)):
        raise UsageError(f"not an identity: {text}", "give --www UID:GID, two numbers, not 0")
    if os.geteuid() == 0:
        return Identity(int(uid), int(gid))
    if (int(uid), int(gid)) != (os.geteuid(), os.getegid()):
        raise UsageError("only root can serve as another user", "leave out --www")
    return current()


def _is_id(text: str) -> bool:
    """Say whether `text` is a uid or gid for www: not root's, nor -1, which means "no change"."""
    return text.isascii() and text.isdecimal() and 0 < int(text) < 2**32 - 1


def count(text: str) -> int:
    """Return the number that `text` says, at least one. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError("at least one is needed")
    return int(text)
