"""System calls counted by strace(1), where the kernel's own tracing is not to be had.

It stops a process at each of its calls, which makes a server many times slower: for counting, in a
pass that feeds no timing.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harness.host.polling import wait_until
from harness.host.proc import status_of

_PATIENCE_S: Final = 5.0
# % time, seconds, usecs/call, calls, errors or nothing, syscall
_LINE: Final = re.compile(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)")
_TOTAL: Final = "total"


@contextmanager
def counting(processes: Sequence[int], file: Path) -> Iterator[dict[str, int]]:
    """Count the calls of these processes and of all that they start, by name.

    The counts are there at the end; they stay empty where there is no strace, or it may not look.
    """
    counts: dict[str, int] = {}
    program = shutil.which("strace")
    if program is None:
        yield counts
        return
    targets = [word for process in processes for word in ("-p", str(process))]
    command = [program, "-f", "-q", "-c", "-o", str(file), *targets]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracer:
        try:
            wait_until(
                lambda: tracer.poll() is not None or all(map(_is_traced, processes)), _PATIENCE_S
            )
            yield counts
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
    if file.exists():
        counts.update(parsed(file.read_text()))
        file.unlink()


def parsed(summary: str) -> dict[str, int]:
    """Return the calls in strace's summary by their names. Pure."""
    found = map(_LINE.fullmatch, summary.splitlines())
    return {line[2]: int(line[1]) for line in found if line and line[2] != _TOTAL}


def _is_traced(process: int) -> bool:
    # One that has ended has no fields, and there is nothing to wait for.
    return status_of(process).get("TracerPid") != "0"
