#!@interpreter@
"""Import what an ordinary application imports, and tell the versions."""

import datetime
import http.client
import json
import os
import sqlite3
import sys

TENANT = "@tenant@"

groups = ",".join(map(str, sorted(os.getgroups())))
proof = f"isobench tenant={TENANT} uid={os.geteuid()} gid={os.getegid()} groups={groups}"
print(f"Content-Type: text/plain\n\n{proof}")
print("json", len(json.dumps(sys.version_info[:3])), "bytes of version")
print("sqlite3", sqlite3.sqlite_version)
print("http", http.client.HTTPConnection.default_port)
print("datetime", datetime.datetime.now(datetime.UTC).year)
