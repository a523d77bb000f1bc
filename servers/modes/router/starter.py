"""The starter of `router`: starts and ends the workers that a front names.

Messages between a front and the starter, each one packet of a Unix socket without a name:

- front, ``S``, number (8 bytes), uid (8 bytes), name of the site: start a worker;
- front, ``E``, number: end the worker of this number;
- starter, number (8 bytes), errno (4 bytes): the worker that you asked for. With it comes the
  descriptor of its channel, unless errno says why not; EBUSY: not for now, the tenant has another.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import time
from typing import Final, NamedTuple

from servers.front.starters.front_starter import ChannelWorker, FrontService
from servers.front.starters.run_delay import RunDelay, Wish
from servers.front.starters.starter import Makings
from servers.interpreter.embedded import ScriptFailed
from servers.mode import Setting
from servers.modes.router.tenant_worker import TenantWorker
from servers.sites import NotFound, Site

START: Final = struct.Struct("<cQQ")
END: Final = struct.Struct("<cQ")
STARTED: Final = struct.Struct("<QI")
DESCRIPTORS_OF_A_WORKER: Final = 4
"""Two of a process, and twice as many processes may exist as workers (`RouterService`)."""
STARTING: Final = b"S"
ENDING: Final = b"E"
_UCRED: Final = struct.Struct("iII")
LOOK_SECONDS: Final = 0.02
"""For how long the workers of a tenant are looked at before it gets another."""


class _Asked(NamedTuple):
    """A worker that was asked for at the time `since`, for a tenant that has one already."""

    site: Site
    since: float
    front: RunDelay


def _process_of(line: socket.socket) -> int:
    """Return the process id of the front whose line this is (unix(7), SO_PEERCRED)."""
    credentials = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    process: int = _UCRED.unpack(credentials)[0]
    return process


class RouterService(FrontService):
    """Knows each worker by its front and the number that the front has given it."""

    def __init__(
        self,
        door: socket.socket,
        setting: Setting,
        worker: TenantWorker,
        makings: Makings,
        most: int,
    ) -> None:
        """Rehearse what a worker does; `most` is how many workers a front may have.

        Twice as many processes may exist, since a front counts no longer those that it has ended.
        """
        super().__init__(door, setting.sites)
        self.allow_descriptors(
            DESCRIPTORS_OF_A_WORKER * most, "four for each worker", "lower the bound"
        )
        worker.rehearse()
        makings.confine()
        self._tenant_worker = worker
        self._makings = makings
        self._most = most
        self._by_number: dict[tuple[socket.socket, int], ChannelWorker] = {}
        self._postponed: dict[tuple[socket.socket, int], Site] = {}  # in the order of asking
        self._looked_into: dict[tuple[socket.socket, int], _Asked] = {}  # in the order of asking
        self._delays: dict[ChannelWorker, RunDelay] = {}
        self._wishes: dict[int, Wish] = {}  # by the owners' uids

    def heard(self, line: socket.socket, message: bytes) -> bool:
        """Start or end a worker."""
        kind = message[:1]
        if kind == STARTING and len(message) > START.size:
            _, number, uid = START.unpack_from(message)
            self._on_start(line, number, uid, message[START.size :])
        elif kind == ENDING and len(message) == END.size:
            worker = self._by_number.pop((line, END.unpack(message)[1]), None)
            if worker is not None:
                worker.end()
        else:
            return False
        return True

    def front_ended(self, line: socket.socket) -> None:
        """End its workers, to which nobody talks any more."""
        for waiting in (self._postponed, self._looked_into):
            for key in [key for key in waiting if key[0] is line]:
                del waiting[key]
        for key in [key for key in self._by_number if key[0] is line]:
            self._by_number.pop(key).end()

    def worker_ended(self, worker: ChannelWorker) -> None:
        """Forget its number, and let another have its place."""
        self._delays.pop(worker, None)
        for key, other in tuple(self._by_number.items()):
            if other is worker:
                del self._by_number[key]
        while self._postponed and len(self.workers) < 2 * self._most:
            line, number = key = next(iter(self._postponed))
            self._start_for(line, number, self._postponed.pop(key))

    def _on_start(self, line: socket.socket, number: int, uid: int, name: bytes) -> None:
        try:
            site = self.site_of(name, uid)
        except NotFound:
            self._refuse(line, number, errno.ENOENT)
        except PermissionError:
            self._refuse(line, number, errno.EPERM)
        else:
            if self._delays_of(site):
                self._look_into(line, number, site)
            elif len(self.workers) < 2 * self._most:
                self._start_for(line, number, site)
            elif len(self._postponed) < self._most:
                self._postponed[line, number] = site
            else:  # which no front of ours asks for
                self._refuse(line, number, errno.EAGAIN)

    # Tenants that have workers

    def patience(self) -> float:
        """Return for how long nothing needs to be looked into."""
        return LOOK_SECONDS if self._looked_into else -1.0

    def look_around(self) -> None:
        """Decide about another worker for tenants that have some, after a moment's look at these.

        Where one of them or the front lacks a processor, it is refused for now.
        """
        if not self._looked_into:
            return
        now = time.monotonic()
        for key, asked in tuple(self._looked_into.items()):
            if now < asked.since + LOOK_SECONDS:
                return
            del self._looked_into[key]
            workers = self._delays_of(asked.site)
            lacks_processor = any(delay.is_high(now) for delay in (*workers, asked.front))
            wanting = self._wishes.setdefault(asked.site.owner.uid, Wish())
            if lacks_processor and wanting.is_urgent(now):
                lacks_processor = False
            if (workers and lacks_processor) or len(self.workers) >= 2 * self._most:
                self._refuse(*key, errno.EBUSY)
            else:
                self._start_for(*key, asked.site)

    def _look_into(self, line: socket.socket, number: int, site: Site) -> None:
        now = time.monotonic()
        front = RunDelay(_process_of(line))
        for delay in (*self._delays_of(site), front):
            delay.is_high(now)
        self._looked_into[line, number] = _Asked(site, now, front)

    def _delays_of(self, site: Site) -> list[RunDelay]:
        """Return how the tenant's workers wait for a processor, each of them that is to stay."""
        return [
            delay
            for worker, delay in self._delays.items()
            if worker.owner == site.owner and not worker.told_to_end
        ]

    def _start_for(self, line: socket.socket, number: int, site: Site) -> None:
        try:
            worker = self._start(site)
        except ScriptFailed as error:  # a namespace that cannot be had
            self.log(str(error))
            self._refuse(line, number, errno.ENOSPC)
        except OSError as error:
            self._refuse(line, number, error.errno or errno.EPERM)
        else:
            self._by_number[line, number] = worker
            self._delays[worker] = RunDelay(worker.process)
            worker.hand_to(line, STARTED.pack(number, 0))

    def _refuse(self, line: socket.socket, number: int, reason: int) -> None:
        with contextlib.suppress(OSError):
            line.send(STARTED.pack(number, reason), socket.MSG_DONTWAIT)

    def _start(self, site: Site) -> ChannelWorker:
        return self.start_with_channel(
            site.owner,
            socket.SOCK_SEQPACKET,
            self._makings.fork,
            lambda: self._makings.become(site),
            lambda channel: self._tenant_worker.serve(channel, site),
        )
