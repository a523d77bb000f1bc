"""The starter of `fastcgi`: starts workers, and keeps the table of `leases`.

Messages between a front and the starter, each one packet of a Unix socket without a name:

- front, ``A``, number (8 bytes), uid (8 bytes), name of the site: give me a worker of this owner,
  and take back the one I have;
- front, ``B``: take back the worker I have, or withdraw what I asked for;
- front, ``D``: end the worker I have;
- starter, number (8 bytes), errno (4 bytes): what you asked for under this number. With it comes
  the descriptor of the worker's channel, unless errno says why not.
- starter, SIGUSR2: send ``B`` as soon as you are in no request.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import struct
from typing import Final, NamedTuple

from servers.front.starter import Service, WorkerProcess
from servers.interpreter.embedded import Embedded
from servers.kernel import keyring, syscalls
from servers.kernel.confinement import restrain
from servers.kernel.credentials import Identity, become
from servers.mode import Setting
from servers.modes.fastcgi.leases import Front, Leases, TenantWorker
from servers.modes.fastcgi.tenant_worker import serve
from servers.sites import NotFound

ASK: Final = struct.Struct("<cQQ")
ANSWER: Final = struct.Struct("<QI")
ASKING: Final = b"A"
GIVING_BACK: Final = b"B"
DISCARDING: Final = b"D"
RECALL: Final = signal.SIGUSR2

_CREDENTIALS: Final = struct.Struct("3i")  # unix(7), SO_PEERCRED: pid, uid, gid
_NEEDED: Final = syscalls.capability_mask(
    syscalls.CAP_SETUID, syscalls.CAP_SETGID, syscalls.CAP_KILL
)


class Allowance(NamedTuple):
    """How many tenant workers there may be, in all and of one tenant, and how long one may idle."""

    bound: int
    per_tenant: int
    idle_seconds: int


class _Front(Front):
    """A front, at the other end of its line."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self.number = 0
        process, _, _ = _CREDENTIALS.unpack(
            line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        self._process = os.pidfd_open(process)

    def grant(self, worker: TenantWorker) -> None:
        assert isinstance(worker, _Worker)
        worker.process.hand_to(self.line, ANSWER.pack(self.number, 0))

    def refuse(self, error: OSError) -> None:
        """Answer, unless the front is gone, or does not listen and will run into its time limit."""
        with contextlib.suppress(OSError):
            message = ANSWER.pack(self.number, error.errno or errno.EPERM)
            self.line.send(message, socket.MSG_DONTWAIT)

    def recall(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # what it has is taken when its line ends
            signal.pidfd_send_signal(self._process, RECALL)

    def close(self) -> None:
        os.close(self._process)


class _Worker(TenantWorker):
    """A tenant's worker, as far as the table is concerned."""

    def __init__(self, process: WorkerProcess) -> None:
        super().__init__(process.owner)
        self.process = process

    def end(self) -> None:
        self.process.end()


class FastcgiService(Service):
    """Tells the table what happens, and does what follows from it."""

    def __init__(self, door: socket.socket, setting: Setting, allowance: Allowance) -> None:
        """Give up what of root's power is not needed."""
        super().__init__(door, setting.sites)
        restrain(setting.sites, _NEEDED)
        self._interpreter = Embedded(setting.limits.output, setting.code_cache)
        self._patience = struct.pack("ll", allowance.idle_seconds, 0)
        self._leases = Leases(self._start, allowance.bound, allowance.per_tenant)
        self._fronts: dict[socket.socket, _Front] = {}
        self._of_process: dict[WorkerProcess, _Worker] = {}

    def heard(self, line: socket.socket, message: bytes) -> bool:
        """Lease a worker, or take one back."""
        kind = message[:1]
        front = self._fronts.get(line)
        if front is None:
            try:
                front = self._fronts[line] = _Front(line)
            except OSError:  # it is gone already
                return False
        if kind == ASKING and len(message) > ASK.size:
            _, front.number, uid = ASK.unpack_from(message)
            self._on_ask(front, uid, message[ASK.size :])
        elif kind == GIVING_BACK:
            self._leases.give_back(front)
        elif kind == DISCARDING:
            self._leases.discard(front)
        else:
            return False
        return True

    def front_ended(self, line: socket.socket) -> None:
        """End its worker."""
        front = self._fronts.pop(line, None)
        if front is not None:
            self._leases.discard(front)
            front.close()

    def worker_ended(self, worker: WorkerProcess) -> None:
        """Tell the table."""
        self._leases.ended(self._of_process.pop(worker))

    def _on_ask(self, front: _Front, uid: int, name: bytes) -> None:
        try:
            owner = self.site_of(name, uid).owner
        except (NotFound, PermissionError):
            self._leases.give_back(front)
            front.refuse(PermissionError(errno.EPERM, os.strerror(errno.EPERM)))
        else:
            self._leases.ask(front, owner)

    def _start(self, tenant: Identity) -> _Worker:
        process = self.start(
            tenant,
            socket.SOCK_STREAM,
            os.fork,
            lambda: _become(tenant),
            lambda channel: self._serve(channel),
        )
        worker = self._of_process[process] = _Worker(process)
        return worker

    def _serve(self, channel: socket.socket) -> None:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, self._patience)
        serve(channel.fileno(), self._interpreter)


def _become(tenant: Identity) -> None:
    keyring.join_new()
    become(tenant)
