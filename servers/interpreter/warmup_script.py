"""A script of the server's own, which `child.rehearse` runs: what scripts in general do, once."""

import os
import sys

word = os.environ.get("QUERY_STRING", "")
groups = ",".join(map(str, sorted(os.getgroups())))
print(f"Content-Type: text/plain\n\n{word} {os.geteuid()} {os.getegid()} {groups}")
sys.stdout.write("".join(f"{number}\n" for number in range(3)))
