#!@interpreter@
"""Take an upload and answer its length and digest."""

import hashlib
import os
import sys

TENANT = "@tenant@"

data = sys.stdin.buffer.read(int(os.environ["CONTENT_LENGTH"]))

groups = ",".join(map(str, sorted(os.getgroups())))
proof = f"isobench tenant={TENANT} uid={os.geteuid()} gid={os.getegid()} groups={groups}"
print(f"Content-Type: text/plain\n\n{proof}\n{TENANT} received {len(data)} bytes")
print("sha256", hashlib.sha256(data).hexdigest())
