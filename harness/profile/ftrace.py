"""What the kernel sees of a server's processes: forks, executions, ends, changes of credentials.

An instance of tracing (ftrace.rst, "Instances") is a set of buffers and switches of its own: what
others trace on the host is neither read nor changed. It follows the processes that it is told, and
their children from the moment they are made, and it writes times of CLOCK_MONOTONIC, in
microseconds, rounded down.

Rule: an instance is made only after the cleanup process knows of it (`run_resources`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from harness.profile.tracefs import NoTracing

RESOLUTION_NS: Final = 1000
LIFE: Final = (
    "sched:sched_process_fork",
    "sched:sched_process_exec",
    "sched:sched_process_exit",
    "signal:signal_generate",
)
CREDENTIAL_CALLS: Final = (
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "capset",
)  # fmt: skip
CALLS: Final = (
    # The end as its process asks for it: where in an end sched_process_exit stands differs from
    # kernel to kernel (before the memory is given back since Linux 6.16).
    "syscalls:sys_enter_exit_group",
    *(f"syscalls:sys_{side}_{call}" for call in CREDENTIAL_CALLS for side in ("enter", "exit")),
)
EVERY_CALL: Final = ("syscalls:*",)

_BUFFER_KIB: Final = 8 * 1024  # of each processor, the most that is asked for
_LINE: Final = re.compile(r"\s*.*-(\d+)\s+\[\d+\]\s+\S+\s+(\d+)\.(\d{6}): (\w+)(.*)")


class Event(NamedTuple):
    """Something that befell a thread; the time is in nanoseconds, cut to whole microseconds.

    `name` is the kernel's, but "enter" and "exit" for a system call, whose own is `detail`.
    """

    at_ns: int
    thread: int
    name: str
    detail: str


class KernelView:
    """A context: on entering there is an instance in `directory`, on leaving it is gone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> Self:
        """Make the instance. Raises NoTracing."""
        try:
            self._directory.mkdir()
            self._write("trace_clock", "mono")
            self._write("buffer_size_kb", str(_BUFFER_KIB))
            # What is too much is lost at the end, where it shows, not at the beginning.
            self._write("options/overwrite", "0")
            self._write("options/event-fork", "1")
        except OSError as error:
            self.__exit__()
            raise NoTracing(f"tracing refuses: {error.strerror}") from error
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._directory.rmdir()
        except FileNotFoundError:
            return

    def watch(self, threads: Iterable[int], events: Sequence[str]) -> None:
        """Begin to write events down, of these threads and all that they will start.

        Raises NoTracing where the kernel does not know such events.
        """
        try:
            self._write("trace", "")
            self._write("set_event_pid", " ".join(map(str, threads)))
            for event in events:
                self._write("set_event", event, append=True)
        except OSError as error:
            raise NoTracing(f"tracing refuses {event}: {error.strerror}") from error

    def stop(self) -> list[Event]:
        """Write no more down, and return what was seen, in the order of time.

        Raises NoTracing where there was more than the buffers could hold.
        """
        self._write("set_event", "")
        if lost := sum(self._lost()):
            raise NoTracing(f"the kernel's trace buffer lost {lost} events")
        with open(self._directory / "trace", encoding="utf-8", errors="replace") as file:
            return sorted(parsed(file))

    def _lost(self) -> Iterator[int]:
        for statistics in self._directory.glob("per_cpu/cpu*/stats"):
            for line in statistics.read_text().splitlines():
                name, _, number = line.partition(":")
                if name in ("overrun", "dropped events"):
                    yield int(number)

    def _write(self, name: str, text: str, *, append: bool = False) -> None:
        # To be truncated is what empties such a file.
        flags = os.O_WRONLY | (os.O_APPEND if append else os.O_TRUNC)
        descriptor = os.open(self._directory / name, flags)
        try:
            if text:
                os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def parsed(lines: Iterable[str]) -> Iterator[Event]:
    """Yield the events in a trace as the kernel prints it. Pure."""
    for line in lines:
        found = _LINE.fullmatch(line.rstrip("\n"))
        if found is None:
            continue  # a comment
        thread, seconds, microseconds, name, rest = found.groups()
        at_ns = int(seconds) * 10**9 + int(microseconds) * 1000
        yield Event(at_ns, int(thread), *_named(name, rest))


def _named(name: str, rest: str) -> tuple[str, str]:
    """Return an event's name and what it says. Calls are `sys_read(fd: 3)` and `sys_read -> 0`."""
    if name.startswith("sys_"):
        return ("exit" if rest.startswith(" -> ") else "enter"), name.removeprefix("sys_")
    return name, rest.removeprefix(": ")
