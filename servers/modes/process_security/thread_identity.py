"""The identity of one thread: the kernel keeps credentials a thread, glibc pretends otherwise.

glibc's setgroups, setresgid and setresuid have every thread of the process make the call, as POSIX
wants it (nptl(7)). The system calls themselves change the calling thread alone, so they are made
here directly.

The process's own threads thus differ, which glibc does not expect: its wrappers compare what the
threads got and abort the process when that differs. Whoever calls os.setuid or its kin in such a
thread ends the whole process with SIGABRT, unless all of its threads may, or none.
"""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from typing import Final, NamedTuple

from servers.kernel import syscalls
from servers.kernel.all_ids import CredentialError
from servers.kernel.credentials import RAISED, Identity

_CLONE_FS: Final = 0x00000200  # linux/sched.h
_POINTER_BYTES: Final = ctypes.sizeof(ctypes.c_void_p)

_system_call: Final = syscalls.quick_library["syscall"]
_unshare: Final = syscalls.quick_library["unshare"]


class _Numbers(NamedTuple):
    """System call numbers of one architecture."""

    setgroups: int
    setresgid: int
    setresuid: int


_GENERIC: Final = _Numbers(159, 149, 147)  # asm-generic/unistd.h
_NUMBERS: Final = {
    "x86_64": _Numbers(116, 119, 117),  # asm/unistd_64.h
    "aarch64": _GENERIC,
    "loongarch64": _GENERIC,
    "riscv64": _GENERIC,
}


def _numbers() -> _Numbers | None:
    # A 32-bit process has other numbers than its 64-bit kernel, whose machine uname(2) names.
    return _NUMBERS.get(os.uname().machine) if _POINTER_BYTES == 8 else None


def is_known() -> bool:
    """Return whether the system calls' numbers are known for this architecture."""
    return _numbers() is not None


class ThreadIdentity:
    """Changes of the calling thread's identity, for good, in a process that rests able to switch.

    Built once, so that a request pays for the calls only.
    """

    def __init__(self) -> None:
        numbers = _numbers()
        if numbers is None:
            raise NotImplementedError(f"no system call numbers for {os.uname().machine}")
        self._numbers = numbers
        self._raise = syscalls.CapabilityChange(RAISED)
        self._clear = syscalls.CapabilityChange(syscalls.Capabilities())
        self._look = syscalls.CapabilityLook()

    def become(self, identity: Identity) -> None:
        """Make the calling thread `identity`, without a capability and with no way back.

        It gets a working directory and a umask of its own as well. Raises OSError when the kernel
        refuses, CredentialError when it did something else than it was asked.
        """
        uid, gid, groups = identity
        setgroups, setresgid, setresuid = self._numbers
        own_directory()
        self._raise()
        if (
            _system_call(setgroups, len(groups), _array_of(groups))
            or _system_call(setresgid, gid, gid, gid)
            or _system_call(setresuid, uid, uid, uid)
        ):
            syscalls.raise_errno()
        self._clear()
        if (
            os.getresuid() != (uid, uid, uid)
            or os.getresgid() != (gid, gid, gid)
            or tuple(os.getgroups()) != groups
            or self._look.finds_any()
        ):
            raise CredentialError(f"this thread did not become {identity}")


@lru_cache(maxsize=256)
def _array_of(groups: tuple[int, ...]) -> object:
    """Return a pointer to `groups` as setgroups(2) takes them."""
    return ctypes.byref((ctypes.c_uint32 * len(groups))(*groups))


def own_directory() -> None:
    """Give the calling thread a working directory and a umask of its own (unshare(2), CLONE_FS).

    Changes nothing where there is but one thread. Raises OSError where a seccomp filter of the
    host's, such as a container's, forbids unshare altogether.
    """
    if _unshare(_CLONE_FS):
        syscalls.raise_errno()
