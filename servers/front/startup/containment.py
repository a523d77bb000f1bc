"""The namespaces of a server: when its first process ends, the kernel ends all the others.

A parent-death signal does not reach a process that has changed its credentials (the kernel clears
it, prctl(2)), and these servers do change credentials. So a server is the first process of its own
pid namespace: when that process ends, for whatever reason, the kernel kills all others in it.

The mount namespace has two purposes, neither of which affects the host:

- an interpreter below a private directory (such as a home of mode 0700) becomes visible to tenants;
- the setuid wrapper gets a file system that honours setuid bits.

The ipc namespace, with its own `/dev/shm` and `/dev/mqueue`, holds System V objects, message queues
and shared memory of scripts. On the host these would outlive the server.

The server is a session without a controlling terminal: opening /dev/tty fails, and no process in it
can insert input into the operator's terminal (TIOCSTI) or be stopped by that.

If the host allows no new namespaces, the server runs without them. Then the master and the process
that waits for it are both subreapers, and each kills what is below it when the other is gone. If
both are killed at once, workers that have changed their credentials and processes that scripts have
started are left.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from servers.front.startup import clean_start
from servers.front.startup.relay import Relay, is_needed
from servers.kernel import detach, syscalls
from servers.kernel.all_ids import CredentialError
from servers.kernel.credentials import Identity, drop_for_good
from servers.kernel.process_table import descendants

_FORWARDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PATIENCE_SECONDS: Final = 5.0
_EVERY_SECONDS: Final = 0.002
_SHARED_MEMORY: Final = Path("/dev/shm")
_MESSAGE_QUEUES: Final = Path("/dev/mqueue")


def run_contained(main: Callable[[], int], visible: Sequence[Path], private: Path) -> int:
    """Run `main` as the first process of new namespaces and return its exit status.

    Inside, every uid can reach each path of `visible`, and `private` is an empty file system;
    outside, neither changes. If the host allows no namespaces, `main` runs in a process of its own.
    Returns when `main` and every process that it has left behind have ended. SIGTERM, SIGINT and
    SIGHUP are forwarded to `main`; SIGKILL of this process kills it, or stops a server. Standard
    error goes through a `Relay` unless it is a file open for writing only.
    """
    contained = _enter_namespaces()
    relay = Relay() if is_needed() else None
    if not contained:
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    alive, keep_alive = os.pipe2(os.O_CLOEXEC)

    def contained_main() -> int:
        os.close(keep_alive)
        _die_with_parent(alive)
        _leave_the_terminal(relay)
        if contained:
            _arrange_mounts(visible, private)
        try:
            return main()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    child = detach.fork(contained_main)
    for number in _FORWARDED:
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda received, _: os.kill(child, received))
    waited = relay.wait(child) if relay else os.waitpid(child, 0)[1]
    status = os.waitstatus_to_exitcode(waited)
    if not contained:
        _end_what_is_left()
    return status if status >= 0 else 128 - status


def _end_what_is_left() -> None:
    """Kill every process below this one, which is the subreaper of a killed master's processes."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and (left := descendants(os.getpid())):
        for process in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(_EVERY_SECONDS)


def _leave_the_terminal(relay: Relay | None) -> None:
    """Start a new session, which has no controlling terminal (setsid(2))."""
    os.setsid()
    clean_start.heed_signals(but=())
    if relay:
        relay.enter()


def _enter_namespaces() -> bool:
    """Enter new namespaces; return whether the host allows it.

    An ordinary user needs a user namespace as well, in which its uid stays the same.
    """
    flags = syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNS | ipc_namespace()
    uid, gid = os.geteuid(), os.getegid()
    try:
        if uid == 0:
            syscalls.unshare(flags)
            return True
        if set(os.getgroups()) - {gid}:
            return False  # in there scripts would see each other group as "nogroup"
        syscalls.unshare(flags | syscalls.CLONE_NEWUSER)
        process = Path("/proc/self")
        (process / "setgroups").write_text("deny")
        (process / "gid_map").write_text(f"{gid} {gid} 1")
        (process / "uid_map").write_text(f"{uid} {uid} 1")
    except OSError:
        return False
    return True


def ipc_namespace() -> int:
    """Return CLONE_NEWIPC, or 0 if the kernel has no ipc namespaces (CONFIG_IPC_NS)."""
    return syscalls.CLONE_NEWIPC if os.path.exists("/proc/self/ns/ipc") else 0


def _die_with_parent(alive: int) -> None:
    """Request SIGKILL at the parent's death, then end at once if the parent is dead already.

    getppid(2) cannot tell: in a new pid namespace it returns 0 from the start. So a pipe tells,
    whose other end is open in the parent alone.
    """
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)


def _arrange_mounts(visible: Sequence[Path], private: Path) -> None:
    # Apart from the parent too, which is to find `private` free of our mounts when we are gone.
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    try:
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
        syscalls.mount("proc", "/proc", "proc", flags)
    except OSError:
        pass  # a container that masks parts of /proc forbids a fresh one (mount_namespaces(7))
    make_visible(visible)
    hide_shared_memory([*visible, private])
    syscalls.mount("isobench", str(private), "tmpfs", syscalls.MS_NODEV, "mode=0711,size=16m")


def hide_shared_memory(visible: Sequence[Path]) -> None:
    """Mount a new /dev/shm and /dev/mqueue over the host's, which end with the server."""
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    hide(_SHARED_MEMORY, visible)
    if _MESSAGE_QUEUES.is_dir():
        try:
            syscalls.mount("isobench", str(_MESSAGE_QUEUES), "mqueue", flags | syscalls.MS_NOEXEC)
        except OSError:
            pass  # the kernel has none, or shows none to this user namespace


def hide(place: Path, visible: Sequence[Path]) -> None:
    """Cover a directory for temporary files by one that ends with this mount namespace.

    What is `visible` in it stays where it is. Does nothing where it is below one of these.
    """
    paths = {path.resolve() for path in visible}
    place = place.resolve()
    if place.is_dir() and not any(place.is_relative_to(path) for path in paths):
        kept = sorted(path for path in paths if path.is_relative_to(place))
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
        _cover(place, [(path, _held(path)) for path in kept], flags, "mode=1777,size=64m")


def make_visible(paths: Sequence[Path]) -> None:
    """Let every uid reach `paths`, in this mount namespace only.

    A private directory above a path is covered by an empty file system that all may enter, into
    which the path alone is bind-mounted. Names stay the same, so `#!` lines and library search
    paths keep working.
    """
    below: dict[Path, list[tuple[Path, int]]] = {}
    for path in sorted({path.resolve() for path in paths}):
        closed = closed_ancestor(path)
        if closed is not None:
            below.setdefault(closed, []).append((path, _held(path)))
    for closed, kept in below.items():
        _cover(closed, kept, syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755,size=1m")


def _held(path: Path) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _cover(place: Path, kept: Sequence[tuple[Path, int]], flags: int, options: str) -> None:
    """Mount an empty file system on `place`, and bind-mount `kept` into it by its descriptors."""
    syscalls.mount("isobench", str(place), "tmpfs", flags, options)
    for path, descriptor in kept:
        if not path.exists():
            path.mkdir(parents=True)
            source = f"/proc/self/fd/{descriptor}"
            syscalls.mount(source, str(path), None, syscalls.MS_BIND | syscalls.MS_REC)
        os.close(descriptor)


def closed_ancestor(path: Path) -> Path | None:
    """Return the topmost directory above `path` without search permission for others, or None."""
    for directory in reversed(path.parents):
        if not directory.stat().st_mode & stat.S_IXOTH:
            return directory
    return None


def unreadable_for(identity: Identity, paths: Sequence[str]) -> str | None:
    """Return the first of `paths` that `identity` cannot read, or None. The kernel decides."""

    def first_unreadable() -> int:
        try:
            drop_for_good(identity)
        except (OSError, CredentialError):
            return 0  # modes that need this identity say so themselves (host_checks)
        readable = [os.access(path, os.R_OK) for path in paths]
        return 0 if all(readable) else readable.index(False) + 1

    _, status = os.waitpid(detach.fork(first_unreadable), 0)
    number = os.waitstatus_to_exitcode(status)
    return paths[number - 1] if number > 0 else None
