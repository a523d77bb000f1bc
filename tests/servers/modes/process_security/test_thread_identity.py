"""The identity of one thread."""

import ctypes
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from servers.kernel import syscalls
from servers.kernel.credentials import RAISED, RESTING, Identity, become_able_to_switch
from servers.modes.process_security import thread_identity
from servers.modes.process_security.thread_identity import ThreadIdentity
from tests.servers.forked import in_child
from tests.servers.live import needs_root

WWW = Identity(46000, 46000)
TENANT = Identity(46001, 46002, (46003, 46004))

Seen = tuple[tuple[int, ...], tuple[int, ...], list[int], syscalls.Capabilities]


def seen() -> Seen:
    return os.getresuid(), os.getresgid(), os.getgroups(), syscalls.capget()


def in_thread(action: Callable[[], object]) -> None:
    thread = threading.Thread(target=action)
    thread.start()
    thread.join()


@needs_root
def test_only_the_calling_thread_changes() -> None:
    def change() -> list[Seen]:
        become_able_to_switch(WWW)
        identity = ThreadIdentity()
        found: list[Seen] = []

        def become() -> None:
            identity.become(TENANT)
            found.append(seen())

        in_thread(become)
        return [*found, seen()]

    inside, outside = in_child(change)
    assert inside == (
        (TENANT.uid,) * 3,
        (TENANT.gid,) * 3,
        list(TENANT.groups),
        syscalls.Capabilities(),
    )
    assert outside == ((WWW.uid,) * 3, (WWW.gid,) * 3, [], RESTING)


@needs_root
def test_no_way_back() -> None:
    def refused() -> list[str]:
        become_able_to_switch(WWW)
        identity = ThreadIdentity()
        refusals: list[str] = []

        def attempt() -> None:
            identity.become(TENANT)
            changes: tuple[Callable[[], object], ...] = (
                partial(identity.become, WWW),
                partial(identity.become, TENANT),
                partial(syscalls.capset, RAISED),
            )
            for change in changes:
                try:
                    change()
                except PermissionError:
                    refusals.append("refused")

        in_thread(attempt)
        return refusals

    assert in_child(refused) == ["refused"] * 3


@needs_root
def test_directory_and_umask_stay_in_the_thread() -> None:
    def moved() -> tuple[Path, Path, int]:
        os.chdir("/")
        os.umask(0o022)
        become_able_to_switch(WWW)
        identity = ThreadIdentity()
        found: list[Path] = []

        def move() -> None:
            identity.become(TENANT)
            os.chdir("/usr")
            os.umask(0o777)
            found.append(Path.cwd())

        in_thread(move)
        return found[0], Path.cwd(), os.umask(0)

    assert in_child(moved) == (Path("/usr"), Path("/"), 0o022)


def test_numbers_are_known_for_64_bit_machines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert thread_identity.is_known()
    monkeypatch.setattr(thread_identity, "_POINTER_BYTES", 4)
    assert not thread_identity.is_known()
    with pytest.raises(NotImplementedError):
        ThreadIdentity()


def test_numbers_are_the_systems() -> None:
    """As root's own call shows: each changes what it is named for, to what it is already."""
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = thread_identity._numbers()
    assert numbers is not None
    before = seen()
    assert libc.syscall(numbers.setresuid, -1, -1, -1) == 0
    assert libc.syscall(numbers.setresgid, -1, -1, -1) == 0
    assert seen() == before
