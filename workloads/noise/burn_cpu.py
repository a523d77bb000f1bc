#!@interpreter@
"""Compute for a tenth of a second."""

import time

DEADLINE = time.monotonic() + 0.1
number = 1
while time.monotonic() < DEADLINE:
    for _ in range(1000):
        number = number * 48271 % 2147483647
print(f"Content-Type: text/plain\n\ncomputed {number}")
