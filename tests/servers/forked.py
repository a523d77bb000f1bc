"""Code that changes what cannot be changed back runs in a forked child, which tells how it went."""

import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


def in_child(action: Callable[[], Result], fork: Callable[[], int] = os.fork) -> Result:
    """Run `action` in a forked child; return what it returns. Fails the test if it raises."""
    told, tell = os.pipe()
    child = fork()
    if child == 0:
        try:
            answer = pickle.dumps((True, action()))
        except BaseException:
            answer = pickle.dumps((False, traceback.format_exc()))
        os.write(tell, answer)
        os._exit(0)
    os.close(tell)
    with open(told, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    assert answer, "the child ended without a word"
    succeeded, result = pickle.loads(answer)
    assert succeeded, result
    return result  # type: ignore[no-any-return]


@contextmanager
def process(work: Callable[[], object]) -> Iterator[int]:
    """Run a process that does `work` and then waits."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        work()
        os.write(tell, b".")
        time.sleep(60)
        os._exit(0)
    try:
        os.read(told, 1)
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)
        os.close(tell)
