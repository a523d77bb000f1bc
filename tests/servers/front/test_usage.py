"""What processes have used, as they and the kernel tell."""

import os
import resource
import signal
import time

from servers.front.usage import Usage, own_usage, usage_of, usage_so_far


def test_usage_adds_up() -> None:
    assert Usage(1, 2, 3, 4, 5).plus(Usage(1, 1, 1, 1, 1)) == Usage(2, 3, 4, 5, 6)
    before = usage_of(resource.getrusage(resource.RUSAGE_SELF))
    assert own_usage().cpu_ns >= before.cpu_ns > 0


def test_usage_of_another_process_while_it_lives() -> None:
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            bytearray(1 << 20)
        os.write(tell, b".")
        time.sleep(60)
        os._exit(0)
    try:
        os.read(told, 1)
        usage = usage_so_far(child)
        assert usage.cpu_ns >= 30_000_000
        assert usage.minor_faults > 0
        assert usage.voluntary_switches + usage.involuntary_switches > 0
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)
        os.close(tell)
    assert usage_so_far(child) == Usage()
