"""Which processors serve and which load, and which one this thread runs on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from harness.host import fingerprint


@dataclass(frozen=True)
class Cores:
    """Which processors serve and which load; `shared` when there is only one for both."""

    server: tuple[int, ...]
    generator: tuple[int, ...]

    @property
    def shared(self) -> bool:
        """Whether server and generator compete for a processor."""
        return bool(set(self.server) & set(self.generator))


def own_cores() -> Cores:
    """Divide the processors that this process may use."""
    return divide(usable_cpus(), fingerprint.siblings())


def usable_cpus() -> list[int]:
    """Return the processors that this process may use."""
    return sorted(os.sched_getaffinity(0))


def divide(cpus: Sequence[int], siblings: Mapping[int, frozenset[int]]) -> Cores:
    """Give one processor to the server and one to the generator.

    `siblings` maps a processor to all that share its core: those compete as if they were one, so
    the generator gets one of another core where there is one. Pure.
    """
    server = cpus[-1]
    apart = [cpu for cpu in cpus if cpu not in siblings.get(server, {server})]
    other = apart or [cpu for cpu in cpus if cpu != server] or [server]
    return Cores((server,), (other[0],))


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
