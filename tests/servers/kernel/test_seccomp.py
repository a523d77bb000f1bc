"""Filters of system calls, seen to do what their rules say. Each is installed in a child."""

import ctypes
import errno
import os
import threading
from collections.abc import Callable

import pytest

from servers.errors import Unavailable
from servers.kernel import seccomp, syscalls
from servers.kernel.seccomp import (
    ALLOW,
    Comparison,
    Operator,
    Rule,
    low_word_has,
    low_word_is,
    refuse,
)
from tests.servers.forked import in_child

libc = ctypes.CDLL(None, use_errno=True)
REFUSE = refuse(errno.EPERM)


def call(name: str, *arguments: int) -> int:
    """Make a system call; return the errno, 0 when it succeeded."""
    return numbered(seccomp.number_of(name), *arguments)


def numbered(number: int, *arguments: int) -> int:
    words = [ctypes.c_long(word) for word in (number, *arguments)]
    return 0 if libc.syscall(*words) >= 0 else ctypes.get_errno()


def under(rules: list[Rule], *actions: Callable[[], object], default: int = ALLOW) -> list[object]:
    """Return what `actions` return in a child that has installed a filter."""
    program = seccomp.compile_filter(default, rules)

    def run() -> list[object]:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        assert seccomp.install(program) == 0
        return [action() for action in actions]

    return in_child(run)


def test_refused_call_fails_with_the_errno_and_others_pass() -> None:
    rules = [Rule("getppid", refuse(errno.EXDEV))]
    assert under(rules, lambda: call("getppid"), lambda: call("getpid")) == [errno.EXDEV, 0]


def test_condition_on_an_int_ignores_the_bits_that_the_kernel_ignores() -> None:
    rules = [Rule("prctl", REFUSE, (low_word_is(0, syscalls.PR_GET_DUMPABLE),))]
    assert under(
        rules,
        lambda: call("prctl", syscalls.PR_GET_DUMPABLE),
        lambda: call("prctl", syscalls.PR_GET_DUMPABLE | 1 << 40),
        lambda: call("prctl", syscalls.PR_CAPBSET_READ, 0),
    ) == [errno.EPERM, errno.EPERM, 0]


def test_condition_on_a_flag_finds_it_among_others() -> None:
    rules = [Rule("unshare", REFUSE, (low_word_has(0, syscalls.CLONE_NEWUSER),))]
    files = 0x400  # CLONE_FILES
    assert under(
        rules,
        lambda: call("unshare", syscalls.CLONE_NEWUSER | files),
        lambda: call("unshare", syscalls.CLONE_NEWUSER),
        lambda: call("unshare", files),
    ) == [errno.EPERM, errno.EPERM, 0]


@pytest.mark.parametrize(
    ("operator", "refused"),
    [
        (Operator.NOT_EQUAL, [3, 5]),
        (Operator.LESS, [3]),
        (Operator.AT_MOST, [3, 4]),
        (Operator.EQUAL, [4]),
        (Operator.AT_LEAST, [4, 5]),
        (Operator.GREATER, [5]),
    ],
)
def test_operators(operator: Operator, refused: list[int]) -> None:
    """The fourth register of a call that has no arguments shows what it is compared with."""
    rules = [Rule("getppid", REFUSE, (Comparison(3, operator, 4),))]
    values = (3, 4, 5)
    results = under(
        rules, *[lambda value=value: call("getppid", 0, 0, 0, value) for value in values]
    )
    assert [value for value, result in zip(values, results, strict=True) if result] == refused


def test_all_conditions_of_a_rule_and_any_rule_of_a_call() -> None:
    both = (Comparison(0, Operator.EQUAL, 1), Comparison(1, Operator.EQUAL, 2))
    rules = [Rule("getppid", REFUSE, both), Rule("getppid", REFUSE, (low_word_is(2, 3),))]
    assert under(
        rules,
        lambda: call("getppid", 1, 2),
        lambda: call("getppid", 1, 0),
        lambda: call("getppid", 0, 0, 3),
    ) == [errno.EPERM, 0, errno.EPERM]


def test_list_of_what_is_allowed() -> None:
    allowed = [Rule(name, ALLOW) for name in ("write", "exit_group", "getpid", "close", "futex")]
    actions = [lambda: call("getpid"), lambda: call("getppid")]
    assert under(allowed, *actions, default=refuse(errno.ENOSYS)) == [0, errno.ENOSYS]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 is an ABI of x86-64")
def test_other_abi_is_refused_whatever_it_asks() -> None:
    x32 = 0x40000000
    assert under([], lambda: numbered(x32 | seccomp.number_of("getpid"))) == [errno.EPERM]


def test_filter_is_inherited_by_threads_and_children() -> None:
    rules = [Rule("getppid", REFUSE)]
    seen: list[int] = []

    def in_thread() -> list[int]:
        thread = threading.Thread(target=lambda: seen.append(call("getppid")))
        thread.start()
        thread.join()
        return seen

    grandchild = lambda: in_child(lambda: call("getppid"))  # noqa: E731
    assert under(rules, in_thread, grandchild) == [[errno.EPERM], errno.EPERM]


def test_later_filter_cannot_allow_what_an_earlier_one_refuses() -> None:
    later = seccomp.compile_filter(ALLOW, [])
    rules = [Rule("getppid", REFUSE)]
    assert under(rules, lambda: seccomp.install(later), lambda: call("getppid")) == [
        0,
        errno.EPERM,
    ]


def test_nobody_can_listen_twice() -> None:
    program = seccomp.compile_filter(ALLOW, [Rule("getppid", seccomp.NOTIFY)])

    def listen() -> tuple[bool, bool, int]:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        listener = seccomp.install(program, seccomp.NEW_LISTENER)
        closed_on_exec = not os.get_inheritable(listener)
        try:
            seccomp.install(program, seccomp.NEW_LISTENER)
        except OSError as error:
            return listener > 2, closed_on_exec, error.errno or 0
        return listener > 2, closed_on_exec, 0

    assert in_child(listen) == (True, True, errno.EBUSY)


def test_call_without_a_listener_fails() -> None:
    rules = [Rule("getppid", seccomp.NOTIFY)]
    assert under(rules, lambda: call("getppid")) == [errno.ENOSYS]


def test_unknown_call_raises_or_is_skipped() -> None:
    rules = [Rule("no_such_call", REFUSE)]
    with pytest.raises(LookupError, match="no_such_call"):
        seccomp.compile_filter(ALLOW, rules)
    assert seccomp.compile_filter(ALLOW, rules, skip_unknown=True) == seccomp.compile_filter(
        ALLOW, []
    )


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="a call that x86-64 does not have")
def test_call_of_another_architecture_is_left_out() -> None:
    assert seccomp.number_of("setuid32") < 0
    with_it = seccomp.compile_filter(ALLOW, [Rule("setuid32", REFUSE)])
    assert with_it == seccomp.compile_filter(ALLOW, [])


def test_contradiction_is_an_error() -> None:
    with pytest.raises(OSError, match="Permission denied"):
        seccomp.compile_filter(ALLOW, [Rule("getppid", ALLOW)])


def test_program_that_the_kernel_does_not_take_is_an_error() -> None:
    def install() -> int:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        try:
            return seccomp.install(bytes(8))
        except OSError as error:
            return error.errno or 0

    assert in_child(install) == errno.EINVAL


def test_actions_of_this_kernel() -> None:
    assert seccomp.has_action(ALLOW)
    assert not seccomp.has_action(0x12340000)
    seccomp.check_available()


def test_missing_library_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise OSError("cannot open shared object file")

    seccomp._library.cache_clear()
    seccomp.number_of.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", missing)
    try:
        with pytest.raises(Unavailable, match="libseccomp is missing") as caught:
            seccomp.check_available()
    finally:
        seccomp._library.cache_clear()
    assert caught.value.hint == "apt-get install libseccomp2"
