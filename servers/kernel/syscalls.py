"""System calls that Python does not wrap: constants, structures and thin functions, no policy.

Every function raises OSError with the kernel's errno. `credentials` and `containment` give these
calls their meaning. Sources: capabilities(7), prctl(2), landlock(7), mount(2), unshare(2) and the
headers under linux/ that they name.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys

from servers.typed import NamedTuple

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final, NoReturn

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)

# The same library for what each request calls, without all that makes ctypes slow. It keeps the
# interpreter's lock, which suits calls that do not block, and leaves errno in its place, for which
# each new thread would get a dictionary. And there are no argument types: pass pointers as `byref`
# makes them, and of integers only such as C's int holds.
quick_library: Final = ctypes.PyDLL(None)
_set_from_errno: Final = ctypes.pythonapi.PyErr_SetFromErrno
_set_from_errno.argtypes = (ctypes.py_object,)
_set_from_errno.restype = ctypes.c_void_p

# linux/prctl.h, linux/securebits.h
PR_SET_PDEATHSIG: Final = 1
PR_GET_DUMPABLE: Final = 3
PR_SET_DUMPABLE: Final = 4
PR_SET_KEEPCAPS: Final = 8
_PR_SET_NAME: Final = 15
PR_SET_SECCOMP: Final = 22
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_SECUREBITS: Final = 28
PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_CHILD_SUBREAPER: Final = 36
PR_GET_NO_NEW_PRIVS: Final = 39
PR_CAP_AMBIENT: Final = 47
_PR_GET_TID_ADDRESS: Final = 40

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
_CLONE_CHILD_CLEARTID: Final = 0x00200000
_CLONE_CHILD_SETTID: Final = 0x01000000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

_SIGCHLD: Final = 17  # asm-generic/signal.h

# linux/signalfd.h: the size of struct signalfd_siginfo, which begins with the signal's number
_SIGNALFD_SIGINFO: Final = 128

# linux/mount.h
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_BIND: Final = 4096
MS_REC: Final = 16384
MS_PRIVATE: Final = 1 << 18
MOUNT_ATTR_RDONLY: Final = 1
MOUNT_ATTR_NOSUID: Final = 2
MOUNT_ATTR_NODEV: Final = 4
MOUNT_ATTR_NOEXEC: Final = 8
_MNT_DETACH: Final = 2
_OPEN_TREE_CLONE: Final = 1
_MOVE_MOUNT_F_EMPTY_PATH: Final = 4
_AT_FDCWD: Final = -100
_AT_EMPTY_PATH: Final = 0x1000
_AT_RECURSIVE: Final = 0x8000

# System call numbers, which are the same on every architecture since 5.1
_SYS_OPEN_TREE: Final = 428
_SYS_MOVE_MOUNT: Final = 429
_SYS_CLONE3: Final = 435
_SYS_MOUNT_SETATTR: Final = 442

# linux/landlock.h and its system call numbers
LANDLOCK_ACCESS_FS_EXECUTE: Final = 1 << 0
LANDLOCK_ACCESS_FS_WRITE_FILE: Final = 1 << 1
LANDLOCK_ACCESS_FS_READ_FILE: Final = 1 << 2
LANDLOCK_ACCESS_FS_READ_DIR: Final = 1 << 3
LANDLOCK_ACCESS_FS_ABI_1: Final = (1 << 13) - 1
_LANDLOCK_ACCESS_FS_REFER: Final = 1 << 13
_LANDLOCK_ACCESS_FS_TRUNCATE: Final = 1 << 14
_LANDLOCK_ACCESS_FS_IOCTL_DEV: Final = 1 << 15
_LANDLOCK_ACCESS_TO_A_FILE: Final = (  # all but READ_DIR and what changes a directory
    LANDLOCK_ACCESS_FS_EXECUTE
    | LANDLOCK_ACCESS_FS_WRITE_FILE
    | LANDLOCK_ACCESS_FS_READ_FILE
    | _LANDLOCK_ACCESS_FS_TRUNCATE
    | _LANDLOCK_ACCESS_FS_IOCTL_DEV
)
_LANDLOCK_ACCESS_NET_TCP: Final = 1 << 0 | 1 << 1  # bind and connect
_LANDLOCK_SCOPE: Final = 1 << 0 | 1 << 1  # abstract Unix sockets and signals
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


def raise_errno() -> NoReturn:
    """Raise the OSError of the thread's errno, right after a call of the quick library failed.

    The interpreter itself puts errno back after what it does in between (take_gil in
    Python/ceval_gil.h, signal_handler in Modules/signalmodule.c).
    """
    _set_from_errno(OSError)
    raise AssertionError("PyErr_SetFromErrno raised nothing")


def prctl(option: int, argument: int = 0) -> int:
    """Call prctl(2) with one argument and zeros, which newer options insist on."""
    return _checked(_libc.prctl(option, argument, 0, 0, 0))


def set_name(name: str) -> None:
    """Name the calling thread, for ps and top; of a longer name the first 15 bytes count."""
    text = ctypes.create_string_buffer(name.encode())
    prctl(_PR_SET_NAME, ctypes.addressof(text))


def signalfd(signals: Sequence[int]) -> int:
    """Return a descriptor from which `signals`, which the caller blocks, can be read."""
    # A sigset_t of 1024 bits, with bit N - 1 for signal N.
    mask = (ctypes.c_ulong * (1024 // 8 // ctypes.sizeof(ctypes.c_ulong)))()
    mask[0] = sum(1 << number - 1 for number in signals)
    return _checked(_libc.signalfd(-1, ctypes.byref(mask), os.O_CLOEXEC))


def read_signals(descriptor: int) -> list[int]:
    """Return the numbers of the signals that came to a `signalfd`; waits for the first."""
    read = os.read(descriptor, 16 * _SIGNALFD_SIGINFO)
    return [
        int.from_bytes(read[start : start + 4], sys.byteorder)
        for start in range(0, len(read), _SIGNALFD_SIGINFO)
    ]


def unshare(flags: int) -> None:
    """Move the calling process into new namespaces (os.unshare exists only since Python 3.12)."""
    _checked(_libc.unshare(flags))


class _CloneArguments(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            *("flags", "pidfd", "child_tid", "parent_tid"),
            *("exit_signal", "stack", "stack_size", "tls"),
        )
    )


class ForkInto:
    """A prepared fork: as os.fork, but the child starts in new namespaces.

    A pid namespace cannot be entered but by being born in it, and for unshare(2) to offer one to
    each of several children, its caller needs power over the namespace that it lives in itself.

    The interpreter's part of a fork are PyOS_BeforeFork and its two companions, which are for "any
    similar function that clones the current process"; the C library's part, in a process with one
    thread, is to keep the thread's id where glibc looks for it (the two flags of fork.c). Raises
    OSError, on creation where the kernel does not tell that place (CONFIG_CHECKPOINT_RESTORE).
    """

    def __init__(self, namespaces: int) -> None:
        # Unlike a CDLL, a PyDLL keeps hold of the interpreter's lock, as os.fork does.
        self._library = ctypes.PyDLL(None, use_errno=True)
        place = ctypes.c_uint64()
        _checked(_libc.prctl(_PR_GET_TID_ADDRESS, ctypes.addressof(place), 0, 0, 0))
        self._arguments = _CloneArguments(
            flags=namespaces | _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID,
            child_tid=place.value,
            exit_signal=_SIGCHLD,
        )
        self._size = ctypes.c_size_t(ctypes.sizeof(self._arguments))

    def __call__(self) -> int:
        """Return the child's process id in the parent, 0 in the child."""
        self._library.PyOS_BeforeFork()
        process: int = self._library.syscall(_SYS_CLONE3, ctypes.byref(self._arguments), self._size)
        if process == 0:
            self._library.PyOS_AfterFork_Child()
            return 0
        try:
            return _checked(process)
        finally:
            self._library.PyOS_AfterFork_Parent()


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


def unmount(target: str) -> None:
    """Take a mount and all below it out of this mount namespace."""
    _checked(_libc.umount2(os.fsencode(target), _MNT_DETACH))


def clone_tree(path: str | bytes) -> int:
    """Return a descriptor of a copy of the mounts at and below `path`, attached nowhere."""
    return _checked(
        _libc.syscall(
            _SYS_OPEN_TREE,
            _AT_FDCWD,
            os.fsencode(path),
            ctypes.c_uint(_OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC),
        )
    )


class _MountAttributes(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")
    )


def restrict_tree(tree: int, attributes: int) -> None:
    """Add MOUNT_ATTR_* flags to every mount of a tree (Linux 5.12)."""
    wanted = _MountAttributes(attr_set=attributes)
    _checked(
        _libc.syscall(
            _SYS_MOUNT_SETATTR,
            tree,
            b"",
            ctypes.c_uint(_AT_EMPTY_PATH | _AT_RECURSIVE),
            ctypes.byref(wanted),
            ctypes.c_size_t(ctypes.sizeof(wanted)),
        )
    )


def attach_tree(tree: int, target: str | bytes) -> None:
    """Mount a tree from `clone_tree` on `target`, and close its descriptor."""
    try:
        _checked(
            _libc.syscall(
                _SYS_MOVE_MOUNT,
                tree,
                b"",
                _AT_FDCWD,
                os.fsencode(target),
                ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH),
            )
        )
    finally:
        os.close(tree)


def pivot_root(new_root: str) -> None:
    """Make the mount `new_root` the root of this mount namespace, and nothing else remain."""
    os.chdir(new_root)
    # pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one.
    _checked(_libc.pivot_root(b".", b"."))
    unmount(".")
    os.chdir("/")


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
_NO_CAPABILITY: Final = bytes(ctypes.sizeof(_WordPair))

_quick_capset: Final = quick_library["capset"]
_quick_capget: Final = quick_library["capget"]


# What <sys/wait.h> calls P_ALL, and WEXITED, WNOHANG and WNOWAIT.
_ANY_CHILD: Final = 0
_ONLY_LOOK: Final = 4 | 1 | 0x01000000
_quick_waitid: Final = quick_library["waitid"]


def has_children() -> bool:
    """Return whether this process has a child, be it one that has ended; reaps none (waitid(2)).

    A third of the price of an os.waitpid that raises ChildProcessError.
    """
    answer: int = _quick_waitid(_ANY_CHILD, 0, None, _ONLY_LOOK)
    return answer == 0


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
    """A prepared capget(2) of the calling thread: built once, as `CapabilityChange` is."""

    def __init__(self) -> None:
        self._words = _WordPair()
        self._pointers = _header_pointer, ctypes.byref(self._words)

    def __call__(self) -> None:
        """Read the sets, and forget them."""
        if _quick_capget(*self._pointers):
            raise_errno()

    def finds_any(self) -> bool:
        """Read the sets, and return whether there is a capability in any of them."""
        self()
        return bytes(self._words) != _NO_CAPABILITY


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
        self._pointers = _header_pointer, ctypes.byref(self._words)

    @property
    def arguments(self) -> tuple[int, int]:
        """The two addresses that capset(2) takes, for who makes the call in another way."""
        return ctypes.addressof(_header), ctypes.addressof(self._words)

    def __call__(self) -> None:
        """Make the change."""
        if _quick_capset(*self._pointers):
            raise_errno()


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
    _fields_ = tuple(
        (name, ctypes.c_uint64) for name in ("handled_access_fs", "handled_access_net", "scoped")
    )


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


class LandlockAccesses(NamedTuple):
    """What a domain can handle: bit masks of accesses to files, to ports, and of scopes."""

    files: int
    ports: int = 0
    scoped: int = 0


def landlock_accesses(abi: int) -> LandlockAccesses:
    """Return all that a Landlock version can handle (landlock(7), "VERSIONS")."""
    files = LANDLOCK_ACCESS_FS_ABI_1
    files |= _LANDLOCK_ACCESS_FS_REFER if abi >= 2 else 0
    files |= _LANDLOCK_ACCESS_FS_TRUNCATE if abi >= 3 else 0
    files |= _LANDLOCK_ACCESS_FS_IOCTL_DEV if abi >= 5 else 0
    ports = _LANDLOCK_ACCESS_NET_TCP if abi >= 4 else 0
    return LandlockAccesses(files, ports, _LANDLOCK_SCOPE if abi >= 6 else 0)


def landlock_restrict(
    handled: int, rules: Sequence[tuple[str | bytes, int]], ports: int = 0, scoped: int = 0
) -> None:
    """Confine the calling thread: of the accesses `handled`, allow only `rules`, (path, accesses).

    Paths that do not exist are left out. The accesses `ports` are allowed to no port at all, and
    what is `scoped` ends at the domain. Needs CAP_SYS_ADMIN or no_new_privs.
    """
    # A kernel that knows less of this structure wants the rest to be zeros.
    attributes = _RulesetAttributes(handled, ports, scoped)
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


def _landlock_allow(ruleset: int, path: str | bytes, access: int) -> None:
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
