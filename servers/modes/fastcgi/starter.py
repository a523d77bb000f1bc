"""The starter of `fastcgi`: starts workers, and grants them by the rules of `leases`.

A front asks only where it can claim no worker in the `table`. Messages between a front and the
starter, each one packet of a Unix socket without a name, numbers of 8 bytes:

- front, ``E``, number: I am the front of this number in the table. The first message;
- front, ``A``, number, uid, name of the site: I have no worker, give me one of this owner;
- front, ``W``: I do not want what I asked for, nor the worker if it is granted already;
- front, ``R``: I have released a worker that is wanted;
- front, ``D``, slot: end the worker I have, and let its slot go;
- starter, number, slot, serial, errno (4 bytes): what you asked for under this number is yours.
  With it comes the descriptor of the worker's channel, unless errno says why not.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from functools import partial
from typing import Final, NamedTuple

from servers.front.starters.front_starter import ChannelWorker, FrontService
from servers.interpreter.embedded import Embedded
from servers.kernel import keyring, syscalls
from servers.kernel.confinement import restrain
from servers.kernel.credentials import Identity, become
from servers.mode import Setting
from servers.modes.fastcgi.leases import Front, Leases, TenantWorker
from servers.modes.fastcgi.table import Table
from servers.modes.fastcgi.tenant_worker import rehearse, serve
from servers.sites import NotFound

DESCRIPTORS_OF_A_WORKER: Final = 2
ASK: Final = struct.Struct("<cQQ")
ANSWER: Final = struct.Struct("<QQQI")
NUMBER: Final = struct.Struct("<cQ")
ENROLLING: Final = b"E"
ASKING: Final = b"A"
WITHDRAWING: Final = b"W"
RELEASED: Final = b"R"
DISCARDING: Final = b"D"

_NEEDED: Final = syscalls.capability_mask(
    syscalls.CAP_SETUID, syscalls.CAP_SETGID, syscalls.CAP_KILL
)


class Allowance(NamedTuple):
    """How many tenant workers there may be, in all and of one tenant, and how long one may idle."""

    bound: int
    per_tenant: int
    idle_seconds: int


class _Front(Front):
    """A front, at the other end of its line; `asked` is what it has asked last."""

    def __init__(self, number: int, line: socket.socket) -> None:
        super().__init__(number)
        self.asked = 0
        self._line = line

    def grant(self, worker: TenantWorker) -> None:
        assert isinstance(worker, _Worker)
        answer = ANSWER.pack(self.asked, worker.slot, worker.serial, 0)
        worker.process.hand_to(self._line, answer)

    def refuse(self, error: OSError) -> None:
        """Answer, unless the front is gone, or does not listen and will run into its time limit."""
        with contextlib.suppress(OSError):
            answer = ANSWER.pack(self.asked, 0, 0, error.errno or errno.EAGAIN)
            self._line.send(answer, socket.MSG_DONTWAIT)


class _Worker(TenantWorker):
    """A tenant's worker, as far as the table is concerned."""

    def __init__(self, process: ChannelWorker) -> None:
        super().__init__(process.owner)
        self.process = process

    def end(self) -> None:
        self.process.end()


class FastcgiService(FrontService):
    """Tells the leases what happens, and does what follows from it."""

    def __init__(
        self, door: socket.socket, setting: Setting, table: Table, allowance: Allowance
    ) -> None:
        """Rehearse what a worker does, and give up what of root's power is not needed."""
        super().__init__(door, setting.sites)
        self.allow_descriptors(
            DESCRIPTORS_OF_A_WORKER * allowance.bound, "two for each worker", "lower the bound"
        )
        self._table = table
        table.keep_from_children()
        self._interpreter = Embedded(setting.limits.output, setting.code_cache)
        rehearse(self._interpreter)
        restrain(setting.sites, _NEEDED)
        self._patience = struct.pack("ll", allowance.idle_seconds, 0)
        self._leases = Leases(self._start, table, allowance.bound, allowance.per_tenant)
        self._fronts: dict[socket.socket, _Front] = {}
        self._of_process: dict[ChannelWorker, _Worker] = {}

    def heard(self, line: socket.socket, message: bytes) -> bool:
        """Do what a front asks for."""
        kind, front = message[:1], self._fronts.get(line)
        if kind == ENROLLING and len(message) == NUMBER.size and front is None:
            self._fronts[line] = _Front(NUMBER.unpack(message)[1], line)
        elif front is None:
            return False
        elif kind == ASKING and len(message) > ASK.size:
            _, front.asked, uid = ASK.unpack_from(message)
            self._on_ask(front, uid, message[ASK.size :])
        elif kind == WITHDRAWING:
            self._leases.withdraw(front)
        elif kind == RELEASED:
            self._leases.released()
        elif kind == DISCARDING and len(message) == NUMBER.size:
            self._leases.discard(front, NUMBER.unpack(message)[1])
        else:
            return False
        return True

    def front_ended(self, line: socket.socket) -> None:
        """End its worker."""
        front = self._fronts.pop(line, None)
        if front is not None:
            self._leases.front_ended(front)

    def worker_ended(self, worker: ChannelWorker) -> None:
        """Let another have its place."""
        self._leases.ended(self._of_process.pop(worker))

    def _on_ask(self, front: _Front, uid: int, name: bytes) -> None:
        try:
            owner = self.site_of(name, uid).owner
        except (NotFound, PermissionError):
            front.refuse(PermissionError(errno.EPERM, os.strerror(errno.EPERM)))
        else:
            self._leases.ask(front, owner)

    def _start(self, tenant: Identity) -> _Worker:
        become_tenant = partial(_become, tenant)
        process = self.start_with_channel(
            tenant, socket.SOCK_STREAM, os.fork, become_tenant, self._serve
        )
        worker = self._of_process[process] = _Worker(process)
        return worker

    def _serve(self, channel: socket.socket) -> None:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, self._patience)
        serve(channel.fileno(), self._interpreter)


def _become(tenant: Identity) -> None:
    keyring.join_new()
    become(tenant)
