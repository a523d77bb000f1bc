"""`python -m servers MODE`: one server in the foreground. `isobench serve` makes the sites as well.

Runs as root and executes tenants' code, so it binds to the loopback address unless told otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from servers import host_checks, mechanisms, modes
from servers.command_line import (
    UsageError,
    chosen_options,
    count,
    explained,
    identity,
    own_files,
    parser_of,
    private_directory,
    sites_directory,
    take_place,
    unknown,
)
from servers.front.startup import clean_start, containment
from servers.front.workers.worker import BACKLOG
from servers.kernel import detach, leftovers
from servers.launch import Orders, execute
from servers.mode import IsolationMode, Limits, Setting
from servers.sites import Sites


def main() -> int:
    """Parse the command line, serve, and return the exit status: 0 done, 2 cannot serve."""
    arguments = _parser().parse_args()
    if arguments.list:
        print(json.dumps([describe(name) for name in modes.names()]))
        return 0
    return explained(lambda: _serve(arguments), arguments.control)


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("servers", "mode", modes.names(), str(__doc__))
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    add("--programs", type=Path, help="where to keep compiled programs for the next server")
    add("--credential-key", type=Path, help="a file with the key of clients' credentials")
    add("--no-code-cache", action="store_true", help="compile embedded scripts on each request")
    add(
        "--script-seconds",
        type=_seconds,
        default=Limits().script,
        help="the time limit of a script",
    )
    add(
        "--client-seconds",
        type=_seconds,
        default=Limits().client,
        help="the time limit for receiving a request",
    )
    add(
        "--log-mib",
        type=count,
        default=0,
        help="truncate the standard error's file beyond this size",
    )
    add(
        "--phases", metavar="FILE", type=Path, help="record each request's phase timestamps in FILE"
    )
    add("--metrics", metavar="FILE", type=Path, help="count each tenant's requests in FILE")
    add("--slowdown-us", type=_microseconds, help=argparse.SUPPRESS)
    add("--mechanism", metavar="NAME", help=argparse.SUPPRESS)
    return parser


def describe(name: str) -> dict[str, object]:
    """Return what reports and menus say about a mode."""
    mode = modes.load(name)
    return {
        "name": name,
        "precedent": mode.precedent,
        "runs_as": mode.runs_as,
        "summary": (mode.__doc__ or "").partition("\n")[0],
        "options": {option: list(values) for option, values in mode.options.items()},
        "recipe": mode.recipe,
        "kept_workers": mode.kept_workers,
        "own_addresses": mode.own_addresses,
    }


def _serve(arguments: argparse.Namespace) -> int:
    own_keyring = clean_start.clean()
    # What the starter left open is nobody's business here, and a tenant's script's least of all.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    if not arguments.control:
        detach.redirect_to_null(0)
    take_place(arguments)
    mode_class = _mode_class(arguments.mode, arguments.mechanism)
    arguments.sites = sites_directory(arguments.sites, "mode")
    journal = _journal(arguments)
    sites = [site.name for site in Sites(arguments.sites)] if arguments.metrics else []
    tally = _tally(arguments, len(sites))
    with private_directory(arguments.private) as private:
        mode = mode_class(_setting(mode_class, arguments, private))
        began = time.time()
        status = containment.run_contained(
            lambda: explained(
                lambda: _in_containment(mode, arguments, journal, own_keyring, tally, sites),
                arguments.control,
            ),
            [*own_files(), Path(mode.setting.sites), private, *_programs(arguments)],
            private,
        )
        if not arguments.check:
            _remove_leftovers(mode.setting, began)
        return status


def _remove_leftovers(setting: Setting, began: float) -> None:
    """Remove what scripts have left on the host since `began`."""
    with contextlib.suppress(OSError):  # the sites are gone already
        owners = [site.owner.uid for site in Sites(setting.sites)]
        leftovers.remove([setting.www.uid, *owners], began)


def _journal(arguments: argparse.Namespace) -> int | None:
    """Return a descriptor of the file that phases are recorded in; None without --phases.

    Opened here, where the file can be reached by its name.
    """
    if arguments.phases is None or arguments.check:
        return None
    if arguments.workers != 1:
        raise UsageError("--phases records one request at a time", "give --workers 1")
    from servers.profiling.journal import Journal

    try:
        return Journal.at(arguments.phases).file
    except OSError as error:
        raise UsageError(
            f"cannot record phases in {arguments.phases}: {error.strerror}", "name another file"
        ) from error


def _tally(arguments: argparse.Namespace, sites: int) -> int | None:
    """Return a descriptor of the file that requests are counted in; None without --metrics.

    It has a row more than there are workers of a pool or, in the mode address, of a tenant: that
    mode has both.
    """
    if arguments.metrics is None or arguments.check:
        return None
    from servers.front.shared_memory.tally import Tally

    try:
        return Tally.at(arguments.metrics, arguments.workers + 1, sites).file
    except OSError as error:
        raise UsageError(
            f"cannot count in {arguments.metrics}: {error.strerror}", "name another file"
        ) from error


def _programs(arguments: argparse.Namespace) -> list[Path]:
    return [arguments.programs] if arguments.programs else []


def _setting(
    mode_class: type[IsolationMode], arguments: argparse.Namespace, private: Path
) -> Setting:
    return Setting(
        sites=str(arguments.sites),
        www=identity(arguments.www),
        private=str(private),
        programs=str(arguments.programs or ""),
        code_cache=not arguments.no_code_cache,
        limits=Limits(script=arguments.script_seconds, client=arguments.client_seconds),
        options=chosen_options("mode", mode_class.options, arguments.option),
        credential_key=_key(arguments.credential_key),
        workers=arguments.workers,
    )


def _in_containment(
    mode: IsolationMode,
    arguments: argparse.Namespace,
    journal: int | None,
    own_keyring: bool,
    tally: int | None,
    sites: Sequence[str],
) -> int:
    """Check the host, listen, and become the server. In its own namespaces, where it has them."""
    setting = mode.setting
    host_checks.readable_interpreter(setting)
    mode.check_host()
    if arguments.check:
        return 0
    listener = _listen(arguments.host, arguments.port, mode.listener_options)
    ready = _ready(mode, arguments, listener.getsockname()[:2], own_keyring)
    if arguments.phases is not None:
        from servers.profiling import timelines

        ready["phases"] = timelines.layout(type(mode).timeline())
    if tally is not None:
        from servers.front.shared_memory.tally import layout

        ready["metrics"] = layout(sites)
    orders = Orders(
        mode=f"{type(mode).__module__}:{type(mode).__qualname__}",
        setting=setting,
        listener=listener.fileno(),
        workers=arguments.workers,
        ready=json.dumps(ready),
        control=arguments.control,
        journal=journal,
        slowdown_us=arguments.slowdown_us,
        log_limit=arguments.log_mib * 1024 * 1024,
        tally=tally,
    )
    return execute(orders, mode.variables)


def _ready(
    mode: IsolationMode, arguments: argparse.Namespace, at: tuple[str, int], own_keyring: bool
) -> dict[str, object]:
    """Return what a server that serves says of itself. In its namespaces, where it has them."""
    www = mode.setting.www
    return {
        "ready": True,
        "mode": arguments.mode,
        "host": at[0],
        "port": at[1],
        "workers": mode.fixed_workers or arguments.workers,
        "www": {"uid": www.uid, "gid": www.gid, "groups": www.groups},
        "interpreter": sys.executable,
        "own_pid_namespace": os.getpid() == 1,
        "own_session_keyring": own_keyring,
    }


def _mode_class(name: str | None, mechanism: str | None = None) -> type[IsolationMode]:
    """Return the class of a mode, or of what does one mechanism more than `dso`."""
    try:
        if mechanism is not None:
            return mechanisms.load(mechanism)
        return modes.load(name or "")
    except KeyError:
        if mechanism is not None:
            raise unknown("mechanism", mechanism, mechanisms.names()) from None
        raise unknown("mode", name, modes.names()) from None


def _seconds(text: str) -> float:
    """Return a time limit in seconds. Raises ArgumentTypeError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.001 <= seconds <= 1e6:
        raise argparse.ArgumentTypeError(f"not a time limit in seconds: {text}")
    return seconds


def _microseconds(text: str) -> float:
    """Return a time from 0 to a second. Raises ArgumentTypeError."""
    try:
        microseconds = float(text)
    except ValueError:
        microseconds = -1.0
    if not 0 <= microseconds <= 1e6:
        raise argparse.ArgumentTypeError(f"not a time in microseconds: {text}")
    return microseconds


def _key(path: Path | None) -> bytes:
    """Return the key in the file `path`, as hexadecimal digits; nothing where no file is given.

    Read before the server enters its own namespaces, where the file may be out of sight.
    """
    if path is None:
        return b""
    try:
        with open(path) as file:
            others = os.fstat(file.fileno()).st_mode & 0o077
            key = bytes.fromhex(file.read())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} holds no key: {error}",
            "python -m workloads.credential --make FILE makes one",
        ) from error
    if others:
        raise UsageError(f"users other than its owner can read {path}", f"chmod 600 {path}")
    return key


def _listen(host: str, port: int, options: tuple[tuple[int, int, int], ...]) -> socket.socket:
    try:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for level, name, value in options:
            listener.setsockopt(level, name, value)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}",
            "choose another --port, or 0 for any free one (`ss -ltnp` shows which process has it)",
        ) from error
    return listener


if __name__ == "__main__":
    sys.exit(main())
