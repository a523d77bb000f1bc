"""What a living process has used, as the kernel tells."""

import os
import signal
import time

from servers.front.master.accounting import usage_so_far
from servers.front.shared_memory.usage import Usage


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
