"""`python -m servers.peer_main PEER`: one real product in the foreground, run as modes are.

Like `python -m servers` it reports when the product is ready and what it has used, and ends with
its standard input. Products count nothing for us: their CPU time is summed up from /proc, and how
many requests they have served is unknown.
"""

from __future__ import annotations

import argparse
import contextlib
import glob
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from servers import peer_ground, peers
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
from servers.errors import Unavailable
from servers.front.startup import clean_start, containment
from servers.kernel import leftovers, syscalls
from servers.peer import Peer, Setting

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_READY_SECONDS: Final = 30.0
_EVERY_SECONDS: Final = 0.02
_CONTROL_CHUNK: Final = 4096
# proc_pid_stat(5), counted from the fourth field: of itself and of children that it has reaped.
_FAULTS: Final = slice(6, 10)
_TICKS: Final = slice(10, 14)
_HEEDED: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> int:
    """Parse the command line, serve, and return the exit status: 0 done, 2 cannot serve."""
    arguments = _parser().parse_args()
    if arguments.list:
        print(json.dumps([describe(name) for name in peers.names()]))
        return 0
    return explained(lambda: _serve(arguments), arguments.control)


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("servers.peer_main", "peer", peers.names(), str(__doc__))
    parser.add_argument(
        "--module",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="the module of this name, where no package has it",
    )
    parser.add_argument(
        "--script-seconds", type=count, default=0, help="a script's time limit, if it can be set"
    )
    return parser


def describe(name: str) -> dict[str, object]:
    """Return what reports and menus say about a peer."""
    peer = peers.load(name)
    return {
        "name": name,
        "precedent": peer.precedent,
        "beside": peer.beside,
        "runs_as": peer.runs_as,
        "in_own_group": peer.in_own_group,
        "language": peer.language,
        "wants_own_copies": peer.wants_own_copies,
        "forks_only_workers": peer.forks_only_workers,
        "summary": (peer.__doc__ or "").partition("\n")[0],
        "options": {option: list(values) for option, values in peer.options.items()},
    }


def _serve(arguments: argparse.Namespace) -> int:
    clean_start.clean()
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    take_place(arguments)
    kind = _kind(arguments.peer)
    module = _module(kind, arguments.module)
    kind.check(module)
    if os.geteuid() != 0:
        raise Unavailable(
            "real products must be started as root, to become www and the tenants",
            "run isobench as root, or get a range of ids in /etc/subuid (see isobench doctor)",
        )
    if arguments.check:
        print(json.dumps({"interpreter": _interpreter(kind)}))
        return 0
    sites = sites_directory(arguments.sites, "peer")
    www = identity(arguments.www)
    with private_directory(arguments.private) as private:
        began = time.time()
        setting = Setting(
            tenants=peer_ground.tenants_of(sites),
            sites=str(sites),
            www=www,
            host="127.0.0.1",
            port=arguments.port or _free_port(),
            run=peer_ground.RUN,
            processes=arguments.workers,
            module=module,
            options=chosen_options("peer", kind.options, arguments.option),
            script_seconds=arguments.script_seconds,
        )
        visible = [*own_files(), sites, private, *([Path(module)] if module else [])]
        status = containment.run_contained(
            lambda: explained(
                lambda: _in_containment(kind(setting), arguments, visible), arguments.control
            ),
            visible,
            private,
        )
        leftovers.remove([www.uid, *(tenant.uid for tenant in setting.tenants)], began)
        return status


def _kind(name: str | None) -> type[Peer]:
    try:
        return peers.load(name or "")
    except KeyError:
        raise unknown("peer", name, peers.names()) from None


def _module(kind: type[Peer], paths: Sequence[Path]) -> str:
    """Return the one of the files that the peer needs, by its name; "" for none."""
    for path in paths:
        if not path.is_file():
            raise UsageError(
                f"{path} is not a file", "name the module's .so file with --module FILE"
            )
    names = {os.path.basename(need.pattern) for need in kind.needs if not need.package}
    return next((str(path.resolve()) for path in paths if path.name in names), "")


def _interpreter(kind: type[Peer]) -> str | None:
    """Return what runs the scripts, as it names itself; None where the scripts choose."""
    if not kind.version_command:
        return None
    try:
        result = subprocess.run(
            kind.version_command, capture_output=True, text=True, check=False, env={"PATH": _PATH}
        )
    except OSError:
        return "unknown"
    return next((line.strip() for line in result.stdout.splitlines() if line.strip()), "unknown")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _in_containment(peer: Peer, arguments: argparse.Namespace, visible: Sequence[Path]) -> int:
    """Lay the ground, start the product, and watch it. In its own namespaces."""
    if os.getpid() != 1:
        raise Unavailable(
            "this host allows no namespaces, without which a product would leave processes and "
            "files behind",
            "in a container, permit unshare(CLONE_NEWNS and CLONE_NEWPID)",
        )
    try:
        peer_ground.lay(peer, visible)
    except OSError as error:
        raise Unavailable(
            f"cannot mount the product's files: {error}",
            "run isobench where it may mount file systems",
        ) from error
    signals = _signals_as_a_file()
    servers = _start(peer)
    ready = _wait_until_ready(peer, servers)
    if ready:
        say = {"ready": True, "peer": arguments.peer, "host": peer.setting.host}
        print(json.dumps({**say, "port": peer.setting.port}), flush=True)
        return _watch(signals, servers, arguments.control)
    raise Unavailable(f"{arguments.peer} did not become ready", "see the product's messages above")


def _signals_as_a_file() -> int:
    for number in _HEEDED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEEDED)
    return syscalls.signalfd(_HEEDED)


def _start(peer: Peer) -> dict[int, str]:
    """Start the product's commands; return their names by process id."""
    environment = {"PATH": _PATH, "LANG": "C", **peer.environment()}
    nothing = os.open(os.devnull, os.O_RDWR)
    found = {}
    for command in peer.commands():
        program = command[0]
        process = os.posix_spawn(
            program,
            list(command),
            environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, nothing, 0),
                (os.POSIX_SPAWN_DUP2, 2, 1),
            ],
            setsigmask=[],
            setsid=True,
        )
        found[process] = os.path.basename(program)
    os.close(nothing)
    return found


def _wait_until_ready(peer: Peer, servers: Mapping[int, str]) -> bool:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if _ended(servers):
            return False
        if all(map(glob.glob, peer.sockets())) and _listens(peer.setting):
            return True
        time.sleep(_EVERY_SECONDS)
    return False


def _listens(setting: Setting) -> bool:
    """Return whether somebody answers, to a request that no tenant has a part in."""
    try:
        with socket.create_connection((setting.host, setting.port), 5.0) as client:
            client.sendall(b"GET / HTTP/1.0\r\nHost: nobody.invalid\r\n\r\n")
            return client.recv(16).startswith(b"HTTP/1.")
    except OSError:
        return False


def _ended(servers: Mapping[int, str]) -> str | None:
    """Reap what has ended; return the name of one of the product's own programs among it."""
    name = None
    with contextlib.suppress(ChildProcessError):
        while process := os.waitpid(-1, os.WNOHANG)[0]:
            name = servers.get(process) or name
    return name


def _watch(signals: int, servers: Mapping[int, str], control: bool) -> int:
    """Obey commands until their end or a signal; all that is left ends with this process."""
    poll = select.poll()
    poll.register(signals, select.POLLIN)
    if control:
        poll.register(0, select.POLLIN)
    while True:
        events = [descriptor for descriptor, _ in poll.poll()]
        if signals in events:
            if any(number != signal.SIGCHLD for number in syscalls.read_signals(signals)):
                return 0
            if name := _ended(servers):
                print(f"error: {name} has ended", file=sys.stderr)
                return 1
        if 0 in events:
            text = os.read(0, _CONTROL_CHUNK)
            if not text:
                return 0
            for _ in range(text.split().count(b"usage")):
                print(json.dumps(_usage()), flush=True)


def _usage() -> dict[str, float | None]:
    """Return what the product has used, as far as its living processes tell.

    What they have reaped is in their own counts (proc_pid_stat(5)). Not so context switches, of
    which only those of living processes could be told: they are not a number (NaN).
    """
    rows = list(_stat_of_others())
    ticks = os.sysconf("SC_CLK_TCK")
    return {
        "served": None,
        "processes_made": _processes_made(),
        "cpu_s": sum(sum(row[_TICKS]) for row in rows) / ticks,
        "page_faults": float(sum(sum(row[_FAULTS]) for row in rows)),
        "context_switches": math.nan,
    }


def _stat_of_others() -> Iterator[list[int]]:
    """Yield the numbers of proc_pid_stat(5), from the fourth field on, of all but ourselves."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and entry != "1":
            try:
                text = Path("/proc", entry, "stat").read_text(errors="replace")
            except OSError:
                continue  # it has just ended
            yield [int(word) for word in text.rpartition(")")[2].split()[1:]]


def _processes_made() -> int | None:
    try:
        return int(Path("/proc/sys/kernel/ns_last_pid").read_text())
    except OSError:
        return None


if __name__ == "__main__":
    sys.exit(main())
