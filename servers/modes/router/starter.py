"""The starter of `router`: starts and ends the workers that a front names.

Messages between a front and the starter, each one packet of a Unix socket without a name:

- front, ``S``, number (8 bytes), uid (8 bytes), name of the site: start a worker;
- front, ``E``, number: end the worker of this number;
- starter, number (8 bytes), errno (4 bytes): the worker that you asked for. With it comes the
  descriptor of its channel, unless errno says why not.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from typing import Final

from servers.front.front_starter import ChannelWorker, FrontService
from servers.front.starter import Makings
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
        for key in [key for key in self._postponed if key[0] is line]:
            del self._postponed[key]
        for key in [key for key in self._by_number if key[0] is line]:
            self._by_number.pop(key).end()

    def worker_ended(self, worker: ChannelWorker) -> None:
        """Forget its number, and let another have its place."""
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
            if len(self.workers) < 2 * self._most:
                self._start_for(line, number, site)
            elif len(self._postponed) < self._most:
                self._postponed[line, number] = site
            else:  # which no front of ours asks for
                self._refuse(line, number, errno.EAGAIN)

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
