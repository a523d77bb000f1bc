"""The neighbour at work: a script of the neighbour's that runs while an attack is made."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.attack.errors import TooLate
from harness.attack.scene.secrets import Planted
from harness.attack.visitors.raw_http import Door, Reply, request, rest_of
from harness.host import proc
from harness.host.polling import wait_until
from harness.host.proc import Cast

BY_ITSELF = 0.8
"""After which part of a script's time limit it may have been ended for that."""

_COMING_S = 5.0
_DYING_S = 0.4


class NeighbourAtWork:
    """The neighbour's script, with a client that waits for it, from `start` to `dismiss`.

    `processes` returns the ids of the server's processes, `limit_s` is the time limit of a script.
    """

    def __init__(
        self,
        door: Door,
        planted: Planted,
        cast: Cast,
        processes: Callable[[], Iterable[int]],
        limit_s: float,
    ) -> None:
        self._door = door
        self._planted = planted
        self._site = planted.neighbour.site
        self._cast = cast
        self._processes = processes
        self._limit_s = limit_s
        self._client: socket.socket | None = None
        self._began = self._ended = 0.0

    def start(self) -> dict[str, int]:
        """Request the script; return its process (`victim`) and its worker (`sibling`).

        Raises TooLate where it does not start.
        """
        neighbour = self._planted.neighbour
        self._began, self._ended = time.monotonic(), 0.0
        self._client = self._door.connect(neighbour)
        planted = {"X-Planted": self._planted.words["request"]}
        self._client.sendall(request(neighbour, f"/{self._planted.linger}", planted))
        victim = self._await_victim()
        return {"victim": victim, "sibling": self._worker_of(self._client) or victim}

    def must_have_been_in_time(self) -> None:
        """Raise TooLate where the end of its process proves nothing, as it was to come.

        Its age is what it was when the client let go of it, if that has.
        """
        age_s = (self._ended or time.monotonic()) - self._began
        if age_s > BY_ITSELF * self._limit_s:
            raise TooLate(
                f"the neighbour's script had been running for {age_s:.1f} s, and may have come to "
                "its end by itself: this host is too busy"
            )

    def release(self) -> Reply:
        """Let the script come to its end, and return what its client gets."""
        if self._client is None:
            return Reply()
        self._let_go()
        with self._client as connection:
            self._client = None
            return rest_of(connection)

    def dismiss(self) -> None:
        """Let the script come to its end, whether it still can or not."""
        if self._client is not None:
            self._let_go()
            self._client.close()
            self._client = None
            wait_until(lambda: not self._who_has_the_secret_open(), _DYING_S)

    def _let_go(self) -> None:
        self._ended = time.monotonic()
        (self._site / "data" / "go").touch()

    def _await_victim(self) -> int:
        """Return the process that has the neighbour's secret open, which is its script's."""
        if found := wait_until(self._who_has_the_secret_open, _COMING_S):
            return found[0]
        raise TooLate("the neighbour's script did not start")

    def _who_has_the_secret_open(self) -> list[int]:
        status = (self._site / "config.secret").stat()
        wanted = (status.st_dev, status.st_ino)
        return [pid for pid in self._processes() if wanted in proc.open_files(pid)]

    def _worker_of(self, connection: socket.socket) -> int:
        """Return the worker that holds the other end of a connection, 0 if none is found."""
        port = connection.getsockname()[1]
        inodes = {
            fields[9]
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
            if (fields := line.split())[2].endswith(f":{port:04X}")
        }
        for worker in self._cast.workers:
            links = Path(f"/proc/{worker.pid}/fd")
            with contextlib.suppress(OSError):
                for link in links.iterdir():
                    name = str(link.readlink())
                    if name.startswith("socket:[") and name[8:-1] in inodes:
                        return worker.pid
        return 0
