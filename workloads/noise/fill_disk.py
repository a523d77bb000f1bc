#!@interpreter@
"""Write 40 MiB into the site, flush them to the disk, and remove them."""

import os
import tempfile

CHUNK, CHUNKS = b"x" * (1 << 20), 40
with tempfile.TemporaryFile(dir="data") as file:
    for _ in range(CHUNKS):
        file.write(CHUNK)
    file.flush()
    os.fsync(file.fileno())
print(f"Content-Type: text/plain\n\nwrote {len(CHUNK) * CHUNKS}")
