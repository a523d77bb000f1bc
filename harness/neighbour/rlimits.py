"""A program that limits itself and becomes another: `rlimits.py NAME=AMOUNT ... -- COMMAND ...`.

Limits are inherited through fork(2) and execve(2): whatever the command starts has them. It is
started as a file and imports next to nothing, as it stands at the beginning of a server's command.
"""

from __future__ import annotations

import os
import resource
import sys


def main(arguments: list[str]) -> None:
    """Set the limits (setrlimit(2)), none above what is allowed now, and execute the command."""
    end = arguments.index("--")
    for text in arguments[:end]:
        name, _, amount = text.partition("=")
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        wanted = int(amount) if hard == resource.RLIM_INFINITY else min(int(amount), hard)
        resource.setrlimit(kind, (wanted, wanted))
    command = arguments[end + 1 :]
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
