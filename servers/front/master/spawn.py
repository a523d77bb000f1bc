"""Two ways to start a worker process: fork the master, or execute the server's command again.

The first is `kernel.detach.fork`; here is the second, and what they have in common.

A *forked* worker starts quickly and has everything that the master has loaded; the cost is that
each page is copied when either of the two writes to it. An *executed* worker is started by the same
command, with its inheritance as an argument: it loads the interpreter, imports the server and reads
the sites again, and shares no memory with the master but the scoreboard.

Either way a worker starts with the master's privileges, an empty environment, /dev/null as standard
input and output, and these descriptors: the log, the listening socket and, if executed, the
scoreboard.
"""

from __future__ import annotations

import os
import sys

from servers.front.shared_memory.scoreboard import Scoreboard
from servers.front.workers.worker import Worker
from servers.kernel.detach import exit_after
from servers.launch import command
from servers.mode import IsolationMode
from servers.sites import Sites
from servers.typed import NamedTuple

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import socket
    from typing import NoReturn


class Inheritance(NamedTuple):
    """What an executed worker gets besides the orders: scoreboard, slot, the master's pid."""

    scoreboard: int
    slot: int
    master: int

    def __str__(self) -> str:
        return ":".join(map(str, self))

    @classmethod
    def parse(cls, text: str) -> Inheritance:
        """Parse what `str` returns."""
        return cls(*map(int, text.split(":")))


class ServerCommand:
    """The command that started this server, executed again for each worker."""

    def __init__(self, orders: int, inherited: list[int]) -> None:
        """Prepare the command, before the environment is cleared.

        `orders` is the descriptor of the orders; `inherited` are the descriptors they name.
        """
        self._orders = orders
        self._inherited = inherited
        self._environment = {
            name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "LD_"))
        }

    def execute(self, inheritance: Inheritance) -> int:
        """Start a worker; return its process id. Raises OSError."""
        kept = (self._orders, *self._inherited, inheritance.scoreboard)
        return os.posix_spawn(
            sys.executable,
            command(self._orders, str(inheritance)),
            self._environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_RDWR, 0),
                # Onto itself: takes the close-on-exec flag off, in the new process alone.
                *((os.POSIX_SPAWN_DUP2, descriptor, descriptor) for descriptor in kept),
            ],
            setsigmask=(),
        )


def serve_as_executed(
    mode: IsolationMode, listener: socket.socket, sites: Sites, inheritance: Inheritance
) -> NoReturn:
    """Serve in this process, started by `ServerCommand`, then end it."""
    os.set_inheritable(inheritance.scoreboard, False)
    board = Scoreboard.inherited(inheritance.scoreboard)
    board.keep_from_children()
    slot = board.slots[inheritance.slot]
    os.close(inheritance.scoreboard)
    os.environ.clear()
    worker = (mode.pool_worker or Worker)(inheritance.master, listener, mode, sites)
    exit_after(lambda: worker.serve(slot))
