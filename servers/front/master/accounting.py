"""What a server's processes have used, told by each or by the kernel, added up by the master."""

from __future__ import annotations

import os
import resource
import time

from servers.front.shared_memory.usage import Usage, usage_of
from servers.kernel.process_table import descendants, status_of
from servers.kernel.reaping import send

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence
    from typing import Final

    from servers.front.shared_memory.scoreboard import Slot
    from servers.mode import IsolationMode
else:  # without `enum`, of which its constants are made
    import _signal as signal

_NANOSECONDS_A_TICK: Final = 10**9 // os.sysconf("SC_CLK_TCK")
_PUBLISH_SECONDS: Final = 0.5
_NS_LAST_PID: Final = "/proc/sys/kernel/ns_last_pid"


def usage_so_far(process: int) -> Usage:
    """Return what a living process and its reaped children have used; nothing, once it has ended.

    The kernel tells times here in clock ticks, of 10 ms as a rule (proc_pid_stat(5)).
    """
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            # The name in parentheses may itself hold spaces and parentheses.
            fields = file.read().rpartition(b")")[2].split()
        status = status_of(process)
        switches = [
            int(status[b"voluntary_ctxt_switches"]),
            int(status[b"nonvoluntary_ctxt_switches"]),
        ]
    except (OSError, KeyError):
        return Usage()
    minor, of_children, major, major_of_children, *ticks = map(int, fields[7:15])
    cpu_ns = sum(ticks) * _NANOSECONDS_A_TICK
    return Usage(cpu_ns, minor + of_children, major + major_of_children, *switches)


class Accounting:
    """What all of a server's processes have used and served since its start. In the master."""

    def __init__(self, mode: IsolationMode, slots: Sequence[Slot]) -> None:
        self._mode = mode
        self._slots = slots
        self.reaped = Usage()
        """What processes had used that have been reaped."""

    def report(self, workers: dict[int, Slot], reap: Callable[[], None]) -> str:
        """Ask the workers, which `workers` has by their process ids; return all as JSON.

        `reap` reaps what has ended meanwhile, and takes it out of `workers`.
        """
        awaited = _ask_for_usage(workers)
        deadline = time.monotonic() + _PUBLISH_SECONDS
        while awaited and time.monotonic() < deadline:
            time.sleep(0.0005)
            reap()
            awaited = {
                process: before
                for process, before in awaited.items()
                if process in workers and workers[process].published() == before
            }
        return _as_json(self._numbers(workers))

    def _numbers(self, workers: dict[int, Slot]) -> dict[str, float | None]:
        total = self.reaped.plus(usage_of(resource.getrusage(resource.RUSAGE_SELF)))
        for slot in workers.values():
            total = total.plus(slot.usage())
        for process in descendants(os.getpid()):
            if process not in workers:  # what a mode keeps beside or below its workers
                total = total.plus(usage_so_far(process))
        beside = self._mode.counts()
        served = sum(slot.served() for slot in self._slots)
        return {
            **beside,
            "served": served + beside.get("served", 0),
            "compiled": sum(slot.compiled() for slot in self._slots) or None,
            "processes_made": _processes_made(),
            "cpu_s": total.cpu_ns / 1e9,
            "page_faults": total.minor_faults + total.major_faults,
            "context_switches": total.voluntary_switches + total.involuntary_switches,
        }


def _ask_for_usage(workers: dict[int, Slot]) -> dict[int, int]:
    """Ask each started worker for its usage; return how often each had published it before."""
    asked = {}
    for process, slot in workers.items():
        if slot.started():
            asked[process] = slot.published()
            send(process, signal.SIGUSR1)
    return asked


def _processes_made() -> int | None:
    """Return the last process id of our pid namespace, which counts processes and threads made.

    None if the server shares its pid namespace with others, or the kernel has no ns_last_pid.
    """
    if os.getpid() != 1:
        return None
    try:
        with open(_NS_LAST_PID) as file:
            return int(file.read())
    except OSError:
        return None


def _as_json(numbers: dict[str, float | None]) -> str:
    """Return numbers as JSON. The module `json` imports `re`, which each later fork would copy."""
    members = (
        f'"{name}": {"null" if number is None else number}' for name, number in numbers.items()
    )
    return f"{{{', '.join(members)}}}"
