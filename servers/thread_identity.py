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
from typing import Final, NamedTuple

from servers import linux
from servers.all_ids import CredentialError
from servers.credentials import RAISED, Identity

_CLONE_FS: Final = 0x00000200  # linux/sched.h
_POINTER_BYTES: Final = ctypes.sizeof(ctypes.c_void_p)


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
        # A function object of its own, as its argument types are no other caller's.
        self._call = ctypes.CDLL(None, use_errno=True)["syscall"]
        self._call.argtypes = (ctypes.c_long,) * 4
        self._call.restype = ctypes.c_long
        self._raise = linux.CapabilityChange(RAISED)
        self._clear = linux.CapabilityChange(linux.Capabilities())
        self._look = linux.CapabilityLook()

    def become(self, identity: Identity) -> None:
        """Make the calling thread `identity`, without a capability and with no way back.

        It gets a working directory and a umask of its own as well. Raises OSError when the kernel
        refuses, CredentialError when it did something else than it was asked.
        """
        uid, gid, groups = identity
        array = (ctypes.c_uint32 * len(groups))(*groups)
        linux.unshare(_CLONE_FS)
        self._raise()
        self._make(self._numbers.setgroups, len(groups), ctypes.addressof(array), 0)
        self._make(self._numbers.setresgid, gid, gid, gid)
        self._make(self._numbers.setresuid, uid, uid, uid)
        self._clear()
        if (
            os.getresuid() != (uid, uid, uid)
            or os.getresgid() != (gid, gid, gid)
            or tuple(os.getgroups()) != groups
            or self._look.finds_any()
        ):
            raise CredentialError(f"this thread did not become {identity}")

    def _make(self, number: int, first: int, second: int, third: int) -> None:
        if self._call(number, first, second, third):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))


def own_directory() -> None:
    """Give the calling thread a working directory and a umask of its own (unshare(2), CLONE_FS).

    Changes nothing where there is but one thread. Raises OSError where a seccomp filter of the
    host's, such as a container's, forbids unshare altogether.
    """
    linux.unshare(_CLONE_FS)
