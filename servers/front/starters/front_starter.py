"""A starter that fronts ask for workers: each front has a line to it, and gets workers' channels.

A front tells it a site and an owner's uid, which must agree with the site's directory. What else
fronts may say, and who gets which worker, is a mode's to define in a `FrontService` of its own.

A worker's death is passed on by shutting its channel down: that reaches a front that waits for the
answer, even while a process that a script has left behind holds the other end open.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import socket
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Final

from servers.front.starters.starter import Service, Starter, WorkerProcess
from servers.kernel.credentials import Identity
from servers.sites import Site, Sites

_REGISTER: Final = b"F"
_LONGEST_MESSAGE: Final = 512
_COUNTS_BYTES: Final = 16


class Gone(RuntimeError):
    """The starter has ended. Nobody can serve without it."""

    def __init__(self) -> None:
        super().__init__("the starter of tenants' workers has ended")


class WorkerCounts:
    """Tenants' workers that were started, and those that were told to end, since the start.

    In memory which the master and the starter share, and of which workers have nothing.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _COUNTS_BYTES)
        self._counts = memoryview(self._memory).cast("q")

    def keep_from_children(self) -> None:
        """Leave it out of every process forked from now on (madvise(2), MADV_DONTFORK)."""
        self._memory.madvise(mmap.MADV_DONTFORK)

    def started(self) -> None:
        """Count a worker. In the starter."""
        self._counts[0] += 1

    def evicted(self) -> None:
        """Count a worker that has ended because it was told to. In the starter."""
        self._counts[1] += 1

    def as_dict(self) -> dict[str, int]:
        """Return them as `IsolationMode.counts` does."""
        starts, evictions = self._counts
        return {"worker_starts": starts, "evictions": evictions}


# The fronts' end


class FrontStarter(Starter):
    """The running starter, as the master and the fronts see it."""

    def __init__(self, prepare: Callable[[socket.socket], FrontService]) -> None:
        """As `Starter`."""
        counted = WorkerCounts()

        def prepare_to_count(door: socket.socket) -> FrontService:
            service = prepare(door)
            counted.keep_from_children()
            service.counted = counted
            return service

        super().__init__(prepare_to_count)
        self._counted = counted

    def counts(self) -> dict[str, int]:
        """Return what `IsolationMode.counts` reports of tenants' workers. In the master."""
        return self._counted.as_dict()

    def register(self) -> socket.socket:
        """Make the calling process a front; return its line to the starter. Raises Gone."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._door:
            try:
                socket.send_fds(self._door, [_REGISTER], [theirs.fileno()])
            except ConnectionError:
                ours.close()
                raise Gone from None
        return ours


def tell(line: socket.socket, message: bytes) -> None:
    """Send the starter a message. In a front. Raises Gone."""
    try:
        line.send(message)
    except ConnectionError:
        raise Gone from None


# The starter's own process


class ChannelWorker(WorkerProcess):
    """A tenant's worker that a front talks to over a channel."""

    def __init__(self, owner: Identity, process: int, channel: socket.socket) -> None:
        super().__init__(owner, process)
        self._channel = channel

    def hand_to(self, line: socket.socket, message: bytes) -> None:
        """Send a front the channel, with a message, unless it is gone or does not listen."""
        with contextlib.suppress(OSError):
            socket.send_fds(line, [message], [self._channel.fileno()], socket.MSG_DONTWAIT)

    def bury(self) -> int:
        """Reap it, and have whoever waits at the other end of the channel wait no longer."""
        status = super().bury()
        with contextlib.suppress(OSError):  # ENOTCONN
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        return status


class FrontService(Service[ChannelWorker]):
    """What such a starter does: wait for fronts and for their messages as well."""

    def __init__(self, door: socket.socket, sites: str | os.PathLike[str]) -> None:
        """`sites` is the directory of all sites."""
        super().__init__(door)
        self._sites = Sites(sites)
        self.counted = WorkerCounts()

    # What a mode defines

    @abstractmethod
    def heard(self, line: socket.socket, message: bytes) -> bool:
        """A front has said something; return whether it is anything that a front says."""

    @abstractmethod
    def front_ended(self, line: socket.socket) -> None:
        """A front is gone."""

    # What all have

    def site_of(self, name: bytes, uid: int) -> Site:
        """Return the site of that name, if `uid` is its owner's, and not root's.

        Raises NotFound, and PermissionError for any other uid: root's sites have no worker.
        """
        site = self._sites.find(name)
        if site.owner.uid != uid or 0 in (site.owner.uid, site.owner.gid):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        return site

    def start_with_channel(
        self,
        owner: Identity,
        kind: int,
        fork: Callable[[], int],
        become: Callable[[], None],
        serve: Callable[[socket.socket], None],
    ) -> ChannelWorker:
        """Start a worker and watch for its end; `serve` gets its end of the channel.

        `kind` is the channel's (socket(2)). Otherwise as `start`.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        with theirs:
            try:
                process = self.start(theirs, fork, become, serve)
            except BaseException:
                ours.close()
                raise
        worker = ChannelWorker(owner, process, ours)
        self.take_in(worker)
        return worker

    def take_in(self, worker: ChannelWorker) -> None:
        """Count it, and watch for its end."""
        self.counted.started()
        super().take_in(worker)

    def _on_death(self, worker: ChannelWorker) -> None:
        if worker.told_to_end:
            self.counted.evicted()
        super()._on_death(worker)

    def called(self, descriptors: list[int]) -> None:
        """Listen to another front."""
        for descriptor in descriptors:
            self.watch(descriptor, partial(self._on_line, socket.socket(fileno=descriptor)))

    def _on_line(self, line: socket.socket) -> None:
        try:
            message = line.recv(_LONGEST_MESSAGE)
        except ConnectionError:
            message = b""
        if message and self.heard(line, message):
            return
        # The end, or what no front says.
        self.front_ended(line)
        self.forget(line.fileno())
        line.close()
