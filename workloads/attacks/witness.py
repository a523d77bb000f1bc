"""The neighbour's innocent script: does its work, and tells what it found around itself.

Attacks that leave something behind show in what it is served next, or in what it loses.
"""

import json
import locale
import os
import resource
import sys

WORD = "@source@"

with open("config.secret") as file:
    secret = file.read()
print("the secret begins with", secret.strip()[:80], file=sys.stderr)
mask = os.umask(0o022)
os.umask(mask)
report = {
    "works": len(secret),
    "planted": os.environ.get("PLANTED"),
    "umask": mask,
    "decimal": locale.localeconv()["decimal_point"],
    "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    "recursion": sys.getrecursionlimit(),
    "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "processors": len(os.sched_getaffinity(0)),
}
print(f"Content-Type: text/plain\n\n{json.dumps(report)}")
