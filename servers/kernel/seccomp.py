"""Filters of system calls (seccomp(2)): compiled by libseccomp, installed as plain bytes.

libseccomp knows the number of each call on each architecture; Debian has it wherever apt is. It is
loaded when the first filter is compiled, which a server does before it forks: what is installed
afterwards is a program of the kernel's own, and needs no library.

Two traps, for whoever writes rules:

- A register has 64 bits, and many arguments are an `int`, of which the kernel looks at the lower
  32. Compare those with `low_word_is` and `low_word_has`, or a caller sets a higher bit and passes.
- A pointer can be compared, what it points to cannot. A call whose flags are in memory (clone3)
  is refused as a whole, with ENOSYS, so that the C library falls back on the older one.
"""

from __future__ import annotations

import ctypes
import enum
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, NamedTuple

from servers.errors import Unavailable
from servers.kernel import syscalls

# linux/seccomp.h: what a filter returns.
KILL_PROCESS: Final = 0x80000000
NOTIFY: Final = 0x7FC00000
LOG: Final = 0x7FFC0000
ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000

# linux/seccomp.h: operations and flags of seccomp(2).
_SET_MODE_FILTER: Final = 1
_GET_ACTION_AVAIL: Final = 2
NEW_LISTENER: Final = 1 << 3

# seccomp.h of libseccomp
_ATTRIBUTE_BAD_ARCHITECTURE: Final = 2
_ATTRIBUTE_OPTIMIZE: Final = 8
_AS_A_TREE: Final = 2
_UNKNOWN: Final = -1  # other negative numbers: known, but not of this architecture
_LOW_WORD: Final = 0xFFFFFFFF

_INSTRUCTION_BYTES: Final = 8  # struct sock_filter

Action = int


def refuse(number: int) -> Action:
    """Return the action of a call that is not made and fails with the errno `number`."""
    return _ERRNO | number


class Operator(enum.IntEnum):
    """How an argument is compared (enum scmp_compare)."""

    NOT_EQUAL = 1
    LESS = 2
    AT_MOST = 3
    EQUAL = 4
    AT_LEAST = 5
    GREATER = 6
    MASKED_EQUAL = 7


class Comparison(NamedTuple):
    """A condition on the argument with the number `argument`, from 0, as a 64-bit register.

    MASKED_EQUAL: `value` is the mask, `masked` what the masked argument must equal.
    """

    argument: int
    operator: Operator
    value: int
    masked: int = 0


def low_word_is(argument: int, value: int) -> Comparison:
    """Return the condition that an `int` argument equals `value`."""
    return Comparison(argument, Operator.MASKED_EQUAL, _LOW_WORD, value)


def low_word_has(argument: int, bits: int) -> Comparison:
    """Return the condition that an `int` argument has all of `bits` set."""
    return Comparison(argument, Operator.MASKED_EQUAL, bits, bits)


class Rule(NamedTuple):
    """What to do about a system call; of several conditions all must hold."""

    call: str
    action: Action
    conditions: tuple[Comparison, ...] = ()


def check_available() -> None:
    """Raise Unavailable where a filter cannot be compiled, or the kernel has no seccomp filters."""
    if not has_action(ALLOW):
        raise Unavailable(
            "this kernel or container has no seccomp filters",
            "use a kernel with CONFIG_SECCOMP_FILTER, and a container that may call seccomp(2)",
        )


def has_action(action: Action) -> bool:
    """Return whether this kernel knows the action. Raises Unavailable without libseccomp."""
    return _seccomp(_GET_ACTION_AVAIL, 0, ctypes.byref(ctypes.c_uint32(action))) == 0


@cache
def number_of(call: str) -> int:
    """Return the number of a system call on this architecture; negative where it has no such call.

    Raises LookupError for a name that this libseccomp does not know.
    """
    number: int = _library().seccomp_syscall_resolve_name(call.encode())
    if number == _UNKNOWN:
        raise LookupError(f"libseccomp knows no system call {call}")
    return number


def compile_filter(default: Action, rules: Sequence[Rule], skip_unknown: bool = False) -> bytes:
    """Return the program that does what the rules say, and `default` about all other calls.

    Calls by another ABI of the processor (32-bit or x32 on x86-64) fail with EPERM whatever they
    are, since they have other numbers. A rule about a call that this architecture does not have is
    left out. One that libseccomp does not know raises LookupError, or is left out as well with
    `skip_unknown`, which suits a list of what is allowed and never one of what is refused.
    Raises Unavailable, and OSError for rules that contradict each other.

    The program looks calls up in a tree, not one after the other: a kernel that installs it runs it
    for each call that there is (seccomp_cache_prepare in kernel/seccomp.c), and a list of 260 calls
    took it 250 us, the tree 90.
    """
    with _context(default) as context:
        set_attribute = _library().seccomp_attr_set
        bad_architecture = ctypes.c_uint32(refuse(1))
        _checked(set_attribute(context, _ATTRIBUTE_BAD_ARCHITECTURE, bad_architecture))
        set_attribute(context, _ATTRIBUTE_OPTIMIZE, _AS_A_TREE)  # not before libseccomp 2.5
        for rule in rules:
            _add(context, rule, skip_unknown)
        return _exported(context)


class Installation:
    """A prepared seccomp(2): built once, so that a request pays the call only."""

    def __init__(self, program: bytes, flags: int = 0) -> None:
        self._instructions = ctypes.create_string_buffer(program, len(program))
        address = ctypes.addressof(self._instructions)
        self._program = _Program(len(program) // _INSTRUCTION_BYTES, address)
        operation, flags_word = ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(flags)
        number = ctypes.c_long(number_of("seccomp"))
        self._arguments = number, operation, flags_word, ctypes.byref(self._program)

    def __call__(self) -> int:
        """Put the filter on the calling thread and all that it will start, for good.

        Returns the descriptor of the listener with NEW_LISTENER, which is closed on exec, and 0
        otherwise. Needs CAP_SYS_ADMIN or no_new_privs. Raises OSError.
        """
        result: int = _quick_system_call(*self._arguments)
        if result < 0:
            syscalls.raise_errno()
        return result


def install(program: bytes, flags: int = 0) -> int:
    """Put a filter on the calling thread now; see `Installation`."""
    return Installation(program, flags)()


class _Program(ctypes.Structure):  # struct sock_fprog of linux/filter.h
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


class _ArgumentComparison(ctypes.Structure):  # struct scmp_arg_cmp
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("masked", ctypes.c_uint64),
    )


_libc: Final = ctypes.CDLL(None, use_errno=True)
_quick_system_call: Final = syscalls.quick_library["syscall"]


def _seccomp(operation: int, flags: int, argument: Any) -> int:
    number = ctypes.c_long(number_of("seccomp"))
    result: int = _libc.syscall(number, ctypes.c_uint(operation), ctypes.c_uint(flags), argument)
    return result


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        raise Unavailable("libseccomp is missing", "apt-get install libseccomp2") from None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_void_p,
    )
    library.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return library


@contextmanager
def _context(default: Action) -> Iterator[int]:
    context = _library().seccomp_init(default)
    if not context:
        raise OSError(f"libseccomp takes no default action {default:#x}")
    try:
        yield context
    finally:
        _library().seccomp_release(context)


def _add(context: int, rule: Rule, skip_unknown: bool) -> None:
    try:
        number = number_of(rule.call)
    except LookupError:
        if skip_unknown:
            return
        raise
    if number < 0:
        return
    compared = [_ArgumentComparison(*condition) for condition in rule.conditions]
    conditions = (_ArgumentComparison * len(compared))(*compared)
    _checked(
        _library().seccomp_rule_add_array(context, rule.action, number, len(conditions), conditions)
    )


def _exported(context: int) -> bytes:
    """Return the program; libseccomp writes it to a descriptor only."""
    descriptor = os.memfd_create("seccomp-filter", os.MFD_CLOEXEC)
    with open(descriptor, "r+b") as file:
        _checked(_library().seccomp_export_bpf(context, descriptor))
        file.seek(0)
        return file.read()


def _checked(result: int) -> None:
    """Raise OSError for what libseccomp returns: 0 or a negative errno."""
    if result < 0:
        raise OSError(-result, os.strerror(-result))
