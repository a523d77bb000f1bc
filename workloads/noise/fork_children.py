#!@interpreter@
"""Fork 40 children, each of which computes for 5 ms, and wait for them all."""

import os
import time

CHILDREN = 40
DEADLINE = time.monotonic() + 1.0

children = []
try:
    for _ in range(CHILDREN):
        child = os.fork()
        if child == 0:
            end = min(DEADLINE, time.monotonic() + 0.005)
            while time.monotonic() < end:
                pass
            os._exit(0)
        children.append(child)
finally:
    for child in children:
        os.waitpid(child, 0)
print(f"Content-Type: text/plain\n\nforked {len(children)}")
