#!@interpreter@
"""Say hello: as little as a script can do."""

import os

TENANT = "@tenant@"

groups = ",".join(map(str, sorted(os.getgroups())))
proof = f"isobench tenant={TENANT} uid={os.geteuid()} gid={os.getegid()} groups={groups}"
print(f"Content-Type: text/plain\n\n{proof}\nHello from {TENANT}")
