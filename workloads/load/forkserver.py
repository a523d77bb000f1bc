"""Forks load generators from a process that has imported Locust once.

    python -m workloads.load.forkserver SOCKET

A generator takes a second of processor time to import Locust, and a run that interleaves its
targets has one for each. Forked, they share those imports and their memory.

SOCKET is the number of an open Unix socket of sequenced packets. Each message is one of

    {"fork": true}      with three descriptors: the stdin, stdout and stderr of a new generator
                        (`workloads.load.generator` has its protocol); the answer is {"pid": 4711}
    {"status": 4711}    the answer is {"status": 0}, as `subprocess` has it, once it has ended;
                        {"status": null} before

It ends when the other end of the socket is closed, and is killed with its parent; the generators
are then killed by the kernel.
"""

import json
import signal
import socket
import sys
from importlib import import_module

# By name, before Locust comes: gevent puts its own in their places, which need an event loop.
from os import WNOHANG, close, dup2, fork, waitpid, waitstatus_to_exitcode
from typing import Any

from workloads.load.generator import TRIALS, speak, tie_to_parent

_LONGEST = 4096
_STREAMS = 3


def main() -> int:
    """Serve messages until the other end is closed."""
    tie_to_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Made before Locust comes: its gevent then leaves it alone, and no event loop runs here.
    server = socket.socket(fileno=int(sys.argv[1]))
    import_module(TRIALS)
    while True:
        text, descriptors, _, _ = socket.recv_fds(server, _LONGEST, _STREAMS)
        if not text:
            return 0
        message = json.loads(text)
        if "status" in message:
            _answer(server, status=_status(message["status"]))
        elif pid := _fork(descriptors):
            for descriptor in descriptors:
                close(descriptor)
            _answer(server, pid=pid)
        else:
            server.close()
            return speak()


def _fork(streams: list[int]) -> int:
    """Return the pid of a new process; 0 in that process, which has these streams."""
    from gevent import reinit

    if pid := fork():
        return pid
    reinit()
    tie_to_parent()
    for number, stream in enumerate(streams):
        dup2(stream, number)
        close(stream)
    return 0


def _status(pid: int) -> int | None:
    done, status = waitpid(pid, WNOHANG)
    return waitstatus_to_exitcode(status) if done else None


def _answer(server: socket.socket, **fields: Any) -> None:
    server.send(json.dumps(fields).encode())


if __name__ == "__main__":
    sys.exit(main())
