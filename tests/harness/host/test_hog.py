"""The disturbance that a self-test makes for itself."""

import os
import subprocess
import sys
import time

from harness.host.hog import hog
from tests.harness.live import PATIENCE


def children() -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "harness.host.hog" in line]


def used_s(process: int) -> float:
    with open(f"/proc/{process}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_hog_uses_its_processor_and_ends_with_its_context() -> None:
    cpu = max(os.sched_getaffinity(0))
    with hog(cpu, seed=1):
        (process,) = children()
        deadline = time.monotonic() + PATIENCE
        while used_s(process) < 0.5:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert os.sched_getaffinity(process) == {cpu}
    assert children() == []


def test_a_hog_ends_with_its_parent() -> None:
    program = (
        "import os, sys\n"
        "from harness.host.hog import hog\n"
        "with hog(0 if 0 in os.sched_getaffinity(0) else max(os.sched_getaffinity(0)), 1):\n"
        "    os.execv('/bin/true', ['true'])\n"
    )
    # exec closes the pipe to the hog, as the end of a process does.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0
