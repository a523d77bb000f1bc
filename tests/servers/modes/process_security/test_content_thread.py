"""One call in a thread of its own."""

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from servers.http import Response
from servers.interpreter.embedded import ScriptFailed, ScriptTimeout
from servers.modes.process_security.content_thread import ContentThread
from tests.servers.forked import in_child

RESPONSE = Response(200, (), b"")


def test_call_is_made_in_another_thread_which_is_gone_afterwards() -> None:
    seen = []

    def call() -> Response:
        seen.append(threading.get_native_id())
        return RESPONSE

    thread = ContentThread()
    assert [thread.run(call) is RESPONSE for _ in range(3)] == [True] * 3
    assert threading.get_native_id() not in seen
    assert not thread.is_alive()
    assert not any(Path(f"/proc/self/task/{native}").exists() for native in seen)


def test_call_that_takes_longer_than_one_wait_is_waited_for() -> None:
    def call() -> Response:
        time.sleep(0.25)
        return RESPONSE

    thread = ContentThread()
    assert thread.run(call) is RESPONSE
    assert not thread.is_alive()


@pytest.mark.parametrize("error", [ScriptFailed("why"), PermissionError(13, "why"), SystemExit(3)])
def test_exception_is_raised_in_the_caller(error: BaseException) -> None:
    def call() -> Response:
        raise error

    with pytest.raises(type(error)) as raised:
        ContentThread().run(call)
    assert raised.value is error


def test_what_is_left_on_an_exceptions_way_is_finalised_in_the_thread() -> None:
    class Left:
        pass

    finalised = []

    def call() -> Response:
        left = Left()
        weakref.finalize(left, lambda: finalised.append(threading.get_ident()))
        try:
            raise ValueError
        except ValueError as error:
            raise ScriptFailed("why") from error

    gc.disable()
    try:
        with pytest.raises(ScriptFailed):
            ContentThread().run(call)
    finally:
        gc.enable()
    assert len(finalised) == 1
    assert finalised != [threading.get_ident()]


def out_of_time_in(call: Callable[[], Response]) -> tuple[bool, float]:
    """Have ScriptTimeout raised while a call is under way, as a worker's signal handler does.

    Returns whether the thread lives on, and after how many seconds the caller knew. In a child.
    """
    import signal

    def overdue(*_: object) -> None:
        raise ScriptTimeout

    signal.signal(signal.SIGALRM, overdue)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    thread = ContentThread()
    began = time.monotonic()
    try:
        thread.run(call)
    except ScriptTimeout:
        return thread.is_alive(), time.monotonic() - began
    raise AssertionError("no ScriptTimeout")


def busy() -> Response:
    while True:
        pass


def asleep() -> Response:
    time.sleep(1000)
    return RESPONSE


@pytest.mark.parametrize(("call", "lives_on"), [(busy, False), (asleep, True)])
def test_time_runs_out(call: Callable[[], Response], lives_on: bool) -> None:
    alive, seconds = in_child(lambda: out_of_time_in(call))
    assert alive is lives_on
    assert seconds < 5


def test_no_thread_to_spare() -> None:
    def exhausted() -> tuple[str, bool]:
        import resource

        if os.geteuid() == 0:
            os.setuid(46_980)  # the limit is no root's
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        thread = ContentThread()
        try:
            thread.run(lambda: RESPONSE)
        except BlockingIOError:
            return "BlockingIOError", thread.is_alive()
        return "", thread.is_alive()

    assert in_child(exhausted) == ("BlockingIOError", False)
