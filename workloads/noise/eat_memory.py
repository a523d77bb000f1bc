#!@interpreter@
"""Ask for 640 MiB, use 96 of them, and keep them for a tenth of a second."""

import mmap
import time

# The promise is what RLIMIT_AS refuses, the pages are what memory.max counts.
PROMISED, USED = 640 << 20, 96 << 20
with mmap.mmap(-1, PROMISED) as memory:
    for place in range(0, USED, mmap.PAGESIZE):
        memory[place] = 1
    time.sleep(0.1)
print(f"Content-Type: text/plain\n\nused {USED}")
