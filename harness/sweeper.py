"""The process that cleans up after a run, whatever ended it.

It reads one path a line from its standard input, a directory, a cgroup or an instance of tracing
that the run has just made, and waits for the end of that stream, which comes when the harness ends
in any way, SIGKILL included. Then it kills what is in the cgroups and removes all of it. It is
started as a program of its own, imports next to nothing and ignores the signals that a terminal
sends to the whole group.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress

PATIENCE_S = 10.0


def main() -> None:
    """Wait for the harness to end, then remove what it made."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    paths = [line.rstrip("\n") for line in sys.stdin]
    cgroups = [path for path in paths if os.path.exists(os.path.join(path, "cgroup.procs"))]
    for path in cgroups:
        remove_cgroup(path)
    for path in paths:
        if os.path.exists(os.path.join(path, "trace_clock")):
            remove_instance(path)
        elif path not in cgroups:
            shutil.rmtree(path, ignore_errors=True)


def remove_instance(path: str) -> None:
    """Remove an instance of tracing, whose files nobody has open any more: they go with it."""
    with suppress(OSError):
        os.rmdir(path)


def remove_cgroup(path: str) -> None:
    """Kill the processes in a cgroup and remove it, as soon as the last of them has gone."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError:
            kill_all(path)
            time.sleep(0.02)
        else:
            return


def kill_all(path: str) -> None:
    """Kill every process in a cgroup: at once where the kernel can, else one by one."""
    try:
        with open(os.path.join(path, "cgroup.kill"), "w") as file:
            file.write("1")
    except OSError:
        with suppress(OSError), open(os.path.join(path, "cgroup.procs")) as file:
            for line in file:
                with suppress(ProcessLookupError):
                    os.kill(int(line), signal.SIGKILL)


if __name__ == "__main__":
    main()
