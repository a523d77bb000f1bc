"""The neighbour's script at work: holds its secret in memory and its file open, until released."""

import os
import time

file = open("config.secret")  # noqa: SIM115 - an attack may look for it among the open files
secret = file.read()
request = os.environ.get("HTTP_X_PLANTED", "")
deadline = time.monotonic() + 30
while not os.path.exists("data/go") and time.monotonic() < deadline:  # noqa: PTH110
    time.sleep(0.01)
print(f"Content-Type: text/plain\n\nlingered {len(secret) + len(request)}")
