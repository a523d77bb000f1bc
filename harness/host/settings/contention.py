"""Other processes that use the processors."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping

import psutil

from harness.errors import Caution
from harness.host.settings.view import View

_BUSY_LOAD = 0.5
_BUSY_SHARE = 0.05
Look = Mapping[int, tuple[str, float]]


def load(view: View) -> Iterator[Caution]:
    """Other processes share the processor with the server."""
    match = re.match(r"\d+\.\d+", view.read("proc/loadavg") or "")
    if match and float(match[0]) > _BUSY_LOAD:
        yield Caution(
            f"the host is busy: {float(match[0]):.1f} runnable tasks on average over the last "
            "minute",
            "stop other work while measuring (isobench doctor names it, `top` shows it)",
        )


def busy_processes(before: Look, after: Look, seconds: float) -> Iterator[Caution]:
    """Yield the processes that used more than 5% of a processor between two looks. Pure.

    A look maps a process id to the process's name and its CPU seconds so far.
    """
    shares = {
        pid: (name, (used - before[pid][1]) / seconds)
        for pid, (name, used) in after.items()
        if pid in before
    }
    busy = {pid: found for pid, found in shares.items() if found[1] > _BUSY_SHARE}
    if busy:
        most = sorted(busy.items(), key=lambda item: -item[1][1])[:5]
        names = ", ".join(f"{name} ({pid}) {share:.0%}" for pid, (name, share) in most)
        yield Caution(
            f"other processes use the processors: {names}",
            "stop them, or wait until they end; to see what they are: ps -fp "
            f"{','.join(str(pid) for pid, _ in most)}",
        )


def watch_processes(seconds: float = 0.3) -> Iterator[Caution]:
    """Look at all processes but this one twice; yield what `busy_processes` finds."""
    before = _look()
    time.sleep(seconds)
    yield from busy_processes(before, _look(), seconds)


def _look() -> Look:
    used = {}
    try:
        for process in psutil.process_iter(["name", "cpu_times"]):
            times = process.info["cpu_times"]
            if process.pid != os.getpid() and times is not None:
                used[process.pid] = (str(process.info["name"]), times.user + times.system)
    except (OSError, psutil.Error):  # a host that hides /proc: whom it shows is all there is
        return used
    return used
