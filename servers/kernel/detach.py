"""Processes that a server forks off: how they begin, what they report, and their end by _exit(2).

A forked process shares the parent's stack and buffers. It must neither return into the parent's
code nor run the interpreter's cleanup, which would do the parent's `atexit` and `finally` twice.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def fork(work: Callable[[], int | None]) -> int:
    """Fork a process that does `work` and ends (see `exit_after`); return its process id.

    Raises OSError.
    """
    process = os.fork()
    if process == 0:
        exit_after(work)
    return process


def exit_after(work: Callable[[], int | None]) -> NoReturn:
    """Do `work` and end: with the exit status that it returns, where None means 0.

    What it raises is written to standard error, and the exit status is 1.
    """
    status: int | None = 1
    try:
        status = work()
    except BaseException:
        kind, error, trace = sys.exc_info()
        if kind and error:
            sys.__excepthook__(kind, error, trace)
    finally:
        os._exit(status or 0)


def attempt(work: Callable[[], object]) -> int:
    """Fork a process that does `work`, and whose exit status is the errno of its OSError, or 0.

    Any other exception is EIO. Return its process id, for `failure_of`. Raises OSError.
    """
    process = os.fork()
    if process == 0:
        number = errno.EIO
        try:
            work()
            number = 0
        except OSError as error:
            number = error.errno or errno.EIO
        finally:
            os._exit(number)
    return process


def failure_of(process: int) -> int:
    """Wait for the end of an `attempt`; return its errno, 0 for success, -N after signal N."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def redirect_to_null(*descriptors: int) -> None:
    """Have each of these open descriptors read nothing and write nowhere (null(4)).

    Programs that this process executes inherit them.
    """
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in descriptors:
        os.dup2(nothing, descriptor)
    os.close(nothing)
