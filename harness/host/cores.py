"""Which processors this thread, and what it starts, runs on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def running_on(cpus: Iterable[int]) -> Iterator[None]:
    """Run on these processors, and start on them what is started; then come back from them.

    Raises OSError where this process may use none of them (sched_setaffinity(2)).
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
