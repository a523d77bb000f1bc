"""A disturbance of our own: a process that takes half of a processor in random bursts.

    python -m harness.host.hog CPU SEED

A burst lasts 0.1 to 2 s, a pause as long, both drawn evenly. In a burst the process computes all
the time, so the kernel's scheduler gives it half of the processor, and the server the other half.
It ends when its standard input does, hence with its parent.
"""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.host.surroundings import clean_environment

_SHORTEST_S, _LONGEST_S = 0.1, 2.0
_STEP_S = 0.02
_STOP_S = 5.0


@contextmanager
def hog(cpu: int, seed: int) -> Iterator[None]:
    """Have a hog on a processor."""
    command = [sys.executable, "-P", "-m", "harness.host.hog", str(cpu), str(seed)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        env=clean_environment({"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}),
        start_new_session=True,
    ) as process:
        try:
            yield
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def main(cpu: str, seed: str) -> None:
    """Compute and pause in turn, until standard input ends."""
    os.sched_setaffinity(0, {int(cpu)})
    randomly = random.Random(int(seed))
    while True:
        if _compute_until(time.monotonic() + randomly.uniform(_SHORTEST_S, _LONGEST_S)):
            return
        if _input_ends(randomly.uniform(_SHORTEST_S, _LONGEST_S)):
            return


def _compute_until(end: float) -> bool:
    """Use the processor; return whether it is time to end."""
    while (now := time.monotonic()) < end:
        pause = min(end, now + _STEP_S)
        while time.monotonic() < pause:
            pass
        if _input_ends(0.0):
            return True
    return False


def _input_ends(within_s: float) -> bool:
    return bool(select.select([0], [], [], within_s)[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
