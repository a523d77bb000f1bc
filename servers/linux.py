"""System calls that Python does not wrap: constants, structures and thin functions, no policy.

Every function raises OSError with the kernel's errno. `credentials` and `containment` give these
calls their meaning. Sources: capabilities(7), prctl(2), landlock(7), mount(2), unshare(2) and the
headers under linux/ that they name.
"""

from __future__ import annotations

import ctypes
import os
import stat
from typing import Final, NamedTuple

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)

# linux/prctl.h, linux/securebits.h
PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_KEEPCAPS: Final = 8
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_SECUREBITS: Final = 28
PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_CHILD_SUBREAPER: Final = 36
PR_GET_NO_NEW_PRIVS: Final = 39

SECBIT_NOROOT: Final = 1 << 0
SECBIT_NOROOT_LOCKED: Final = 1 << 1
SECBIT_KEEP_CAPS_LOCKED: Final = 1 << 5

# linux/capability.h
CAP_KILL: Final = 5
CAP_SETGID: Final = 6
CAP_SETUID: Final = 7
CAP_SYS_ADMIN: Final = 21

# linux/sched.h
CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000

# linux/mount.h
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_BIND: Final = 4096
MS_REC: Final = 16384
MS_PRIVATE: Final = 1 << 18

# linux/landlock.h and the system call numbers, which are the same on every architecture since 5.13
LANDLOCK_ACCESS_FS_EXECUTE: Final = 1 << 0
LANDLOCK_ACCESS_FS_WRITE_FILE: Final = 1 << 1
LANDLOCK_ACCESS_FS_READ_FILE: Final = 1 << 2
LANDLOCK_ACCESS_FS_READ_DIR: Final = 1 << 3
_LANDLOCK_ACCESS_TO_A_FILE: Final = (1 << 3) - 1  # all but READ_DIR and what changes a directory
LANDLOCK_ACCESS_FS_ABI_1: Final = (1 << 13) - 1
_SYS_LANDLOCK_CREATE_RULESET: Final = 444
_SYS_LANDLOCK_ADD_RULE: Final = 445
_SYS_LANDLOCK_RESTRICT_SELF: Final = 446
_LANDLOCK_CREATE_RULESET_VERSION: Final = 1
_LANDLOCK_RULE_PATH_BENEATH: Final = 1


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def prctl(option: int, argument: int = 0) -> int:
    """Call prctl(2) with one argument and zeros, which newer options insist on."""
    return _checked(_libc.prctl(option, argument, 0, 0, 0))


def unshare(flags: int) -> None:
    """Move the calling process into new namespaces (os.unshare exists only since Python 3.12)."""
    _checked(_libc.unshare(flags))


def mount(
    source: str, target: str, filesystem: str | None, flags: int, options: str | None = None
) -> None:
    """Call mount(2); `filesystem` and `options` are None where the kernel ignores them."""
    encoded = [os.fsencode(text) if text is not None else None for text in (filesystem, options)]
    _checked(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            encoded[0],
            ctypes.c_ulong(flags),
            encoded[1],
        )
    )


# Capabilities. The kernel takes and gives each set as two 32-bit words in an array of two structs
# (_LINUX_CAPABILITY_VERSION_3); here a set is one Python int with bit N for capability N.


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Words(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


_WordPair = _Words * 2
_header = _Header(0x20080522, 0)
_header_pointer = ctypes.byref(_header)


class Capabilities(NamedTuple):
    """The three capability sets of a thread, each a bit mask."""

    effective: int = 0
    permitted: int = 0
    inheritable: int = 0


def capability_mask(*numbers: int) -> int:
    """Return the bit mask that holds the capabilities `numbers`."""
    return sum(1 << number for number in numbers)


def capget() -> Capabilities:
    """Read the calling thread's capability sets."""
    words = _WordPair()
    _checked(_libc.capget(_header_pointer, words))
    low, high = words
    return Capabilities(
        low.effective | high.effective << 32,
        low.permitted | high.permitted << 32,
        low.inheritable | high.inheritable << 32,
    )


class CapabilityLook:
    """A prepared capget(2) of the calling thread, for the sake of the call alone."""

    def __init__(self) -> None:
        self._words = _WordPair()

    def __call__(self) -> None:
        """Read the sets, and forget them."""
        _checked(_libc.capget(_header_pointer, self._words))


class CapabilityChange:
    """A prepared capset(2) of the calling thread: built once, so that a request pays the call only.

    Raises OSError(EPERM) when called for a set that the permitted set does not cover.
    """

    def __init__(self, target: Capabilities) -> None:
        self._words = _WordPair()
        for words, shift in zip(self._words, (0, 32), strict=True):
            words.effective = target.effective >> shift & 0xFFFFFFFF
            words.permitted = target.permitted >> shift & 0xFFFFFFFF
            words.inheritable = target.inheritable >> shift & 0xFFFFFFFF

    def __call__(self) -> None:
        """Make the change."""
        _checked(_libc.capset(_header_pointer, self._words))


def capset(target: Capabilities) -> None:
    """Set the calling thread's capability sets."""
    CapabilityChange(target)()


def drop_bounding_set(keep: int) -> None:
    """Drop every capability but the mask `keep` from the bounding set; needs CAP_SETPCAP."""
    for number in range(64):
        try:
            present = prctl(PR_CAPBSET_READ, number)
        except OSError:  # EINVAL: one past the last capability this kernel knows
            return
        if present and not keep >> number & 1:
            prctl(PR_CAPBSET_DROP, number)


# Landlock (landlock(7)): an allow-list of directories, which a process puts on itself for good.


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def landlock_abi() -> int:
    """Return the kernel's Landlock version, 0 where it has none or it is disabled."""
    version = _libc.syscall(
        _SYS_LANDLOCK_CREATE_RULESET,
        None,
        ctypes.c_size_t(0),
        ctypes.c_uint32(_LANDLOCK_CREATE_RULESET_VERSION),
    )
    return max(0, int(version))


def landlock_restrict(handled: int, rules: list[tuple[str, int]]) -> None:
    """Confine the calling thread: of the accesses `handled`, allow only `rules`, (path, accesses).

    Paths that do not exist are left out. Needs CAP_SYS_ADMIN or no_new_privs.
    """
    attributes = _RulesetAttributes(handled)
    ruleset = _checked(
        _libc.syscall(
            _SYS_LANDLOCK_CREATE_RULESET,
            ctypes.byref(attributes),
            ctypes.c_size_t(ctypes.sizeof(attributes)),
            ctypes.c_uint32(0),
        )
    )
    try:
        for path, access in rules:
            _landlock_allow(ruleset, path, access & handled)
        _checked(_libc.syscall(_SYS_LANDLOCK_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)))
    finally:
        os.close(ruleset)


def _landlock_allow(ruleset: int, path: str, access: int) -> None:
    try:
        directory = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(directory).st_mode):
            access &= _LANDLOCK_ACCESS_TO_A_FILE
        rule = _PathBeneath(access, directory)
        _checked(
            _libc.syscall(
                _SYS_LANDLOCK_ADD_RULE,
                ruleset,
                _LANDLOCK_RULE_PATH_BENEATH,
                ctypes.byref(rule),
                ctypes.c_uint32(0),
            )
        )
    finally:
        os.close(directory)
