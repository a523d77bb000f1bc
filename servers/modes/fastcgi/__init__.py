"""`fastcgi`: each tenant has workers of its own, which stay that tenant from request to request.

The workers of the pool, here called fronts, are www and never run a script. They parse, find the
script, get a worker of its owner from the `starter`, and pass the request on to it.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import Final

from servers import host_checks
from servers.front.starters.front_starter import FrontStarter, Gone, tell
from servers.http import Request, Response
from servers.interpreter.child import REFUSED
from servers.interpreter.embedded import (
    ScriptFailed,
    environment_of,
    parse_output,
    server_environment,
)
from servers.kernel import open_files, syscalls
from servers.kernel.credentials import Identity, drop_for_good
from servers.mode import IsolationMode, RunsAs
from servers.modes.fastcgi.starter import (
    ANSWER,
    ASK,
    ASKING,
    DESCRIPTORS_OF_A_WORKER,
    DISCARDING,
    ENROLLING,
    NUMBER,
    RELEASED,
    WITHDRAWING,
    Allowance,
    FastcgiService,
)
from servers.modes.fastcgi.table import NOBODY, Table
from servers.modes.fastcgi.tenant_worker import NotServed, ask
from servers.sites import Site

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline

_MOST_ATTEMPTS: Final = 3
# Of dead workers that their fronts have yet to let go of: one a front.
_SPARE_SLOTS: Final = 64


class Mode(IsolationMode):
    """Passes the request to a permanent worker of the owner, which serves later requests too."""

    precedent = "mod_fcgid, php-fpm, LSAPI, peruser"
    runs_as = RunsAs.OWNER
    recipe = ("tenant_process",)
    kept_workers = ("fastcgi",)
    options = {  # noqa: RUF012 - read-only, see IsolationMode
        "bound": ("1024", "1", "2", "4", "16", "64", "256"),
        "per_tenant": ("8", "1", "2", "4"),
        "idle": ("60", "1", "600"),
    }

    _starter: FrontStarter

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here."""
        from servers.profiling.timelines import BACK, EMBEDDED, FRONT, ProbePoint, Step, Timeline

        return Timeline(
            (
                *FRONT,
                Step("get worker", "spawning"),
                Step("hand over", "taken"),
                *EMBEDDED,
                Step("answer", "answered"),
                *BACK,
            ),
            probes=(
                ProbePoint(f"{__name__}:ask", "spawning", "answered"),
                ProbePoint(f"{__name__}.tenant_worker:_answer", "taken"),
            ),
        )

    def check_host(self) -> None:
        """Changing identity takes root; the starter watches processes by their pidfds."""
        host_checks.other_identities(self.setting)
        host_checks.pidfds()

    @property
    def _bound(self) -> int:
        """How many workers there may be: as the factor says, if the limit of descriptors allows."""
        return open_files.affordable(int(self.option("bound")), DESCRIPTORS_OF_A_WORKER)

    def master_init(self) -> None:
        """Make the table, and start the starter."""
        allowance = Allowance(
            bound=self._bound,
            per_tenant=int(self.option("per_tenant")),
            idle_seconds=int(self.option("idle")),
        )
        self._table = table = Table(allowance.bound + _SPARE_SLOTS)
        self._starter = FrontStarter(
            lambda door: FastcgiService(door, self.setting, table, allowance)
        )

    def counts(self) -> dict[str, int]:
        """Return how many tenants' workers the starter has started, and told to end."""
        return self._starter.counts()

    def child_ended(self, process: int) -> None:
        """Without its starter the mode cannot serve."""
        self._starter.check_lives(process)

    def child_init(self) -> None:
        """Open a line to the starter, and become www for good."""
        self._environment = server_environment()
        line = self._starter.register()
        open_files.allow(self._bound, "one for each worker", "lower the bound")
        self._workers = TenantWorkers(line, self._table, self.setting.limits.output)
        drop_for_good(self.setting.www)
        # The change of identity has undone it (prctl(2)), and it will not change again.
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)

    def handle(self, request: Request) -> Response:
        """Have a worker of the owner run the script."""
        environment = environment_of(request, self._environment)
        return parse_output(self._workers.run(request.script.site, environment, request.body))

    def cleanup(self, request: Request) -> None:
        """See to it that the worker is released, or ended if it hangs."""
        self._workers.finish()


class Channel:
    """A way to a tenant's worker, which is known by its slot in the table and its serial."""

    __slots__ = ("descriptor", "serial", "slot")

    def __init__(self, slot: int, serial: int, descriptor: int) -> None:
        self.slot = slot
        self.serial = serial
        self.descriptor = descriptor


class TenantWorkers:
    """Runs scripts in tenants' workers, one at a time. In a front.

    Keeps the channels of all workers that it has ever had, as long as these live or nobody else has
    their slot, and claims one of them for a request. The starter is asked where none is idle.
    """

    def __init__(self, line: socket.socket, table: Table, output_limit: int) -> None:
        self._line = line
        self._table = table
        self._output_limit = output_limit
        self._channels: dict[Identity, list[Channel]] = {}
        self._in_slot: dict[int, tuple[Identity, Channel]] = {}
        self._held: Channel | None = None
        self._last_slot = 0
        self._asked = 0
        self._asking = self._unanswered = self._locking = False
        self._number = table.enroll()
        tell(line, NUMBER.pack(ENROLLING, self._number))

    def run(self, site: Site, environment: dict[bytes, bytes], body: bytes) -> bytes:
        """Run a script and return what it printed. `finish` must follow, in any case.

        Raises what `Embedded.output_of` raises; ScriptFailed also when the worker ended without an
        answer.
        """
        for _ in range(_MOST_ATTEMPTS):
            channel = self._claim(site.owner) or self._get_worker(site)
            self._unanswered = True
            try:
                answer = ask(channel.descriptor, environment, body, self._output_limit)
            except NotServed:  # it ended before, on its own account
                self._discard(channel)
            else:
                self._unanswered = answer.kind == REFUSED  # it may be the worker's own fault
                if not self._unanswered:
                    self._release(channel)  # the client may take its time to read the response
                return answer.output()
        raise ScriptFailed("its processes end before they are asked")

    def finish(self) -> None:
        """Let go of the worker, whatever has happened; have it ended where it must not go on."""
        if self._locking:  # the time was up amid a claim
            self._table.unlock()
            self._locking = False
        held = self._held
        if self._asking:
            self._withdraw()
        elif held is not None:
            if self._unanswered:
                self._discard(held)
            else:
                self._release(held)
        elif self._table.wanted[self._last_slot]:  # see `table`: the first look may be too early
            tell(self._line, RELEASED)

    def _claim(self, owner: Identity) -> Channel | None:
        """Return the first idle worker of an owner that we know, if any, from now on ours.

        Always in the same order, so that as few as possible are busy, and their memory in caches.
        """
        channels = self._channels.get(owner)
        if channels is None:
            return None
        table = self._table
        self._locking = True
        table.lock()
        for channel in channels:
            slot = channel.slot
            if table.may_claim(slot) and table.serials[slot] == channel.serial:
                self._held = channel
                table.give(slot, self._number)
                break
        table.unlock()
        self._locking = False
        return self._held

    # The time may be up between any two steps of these, and `finish` takes them once again.

    def _release(self, channel: Channel) -> None:
        slot = self._last_slot = channel.slot
        if self._table.owners[slot] == self._number:
            self._table.owners[slot] = NOBODY
        self._held = None
        if self._table.wanted[slot]:
            tell(self._line, RELEASED)

    def _get_worker(self, site: Site) -> Channel:
        """Get a worker of the site's owner from the starter; wait for one if need be."""
        self._asking = True
        self._asked += 1
        message = ASK.pack(ASKING, self._asked, site.owner.uid) + site.name.encode("latin-1")
        tell(self._line, message)
        slot, serial, descriptor = self._answer()
        channel = self._held = self._noted(site.owner, slot, serial, descriptor)
        self._asking = False
        return channel

    def _answer(self) -> tuple[int, int, int]:
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(self._line, ANSWER.size, 1)
            except ConnectionError:
                message = b""
            if not message:
                raise Gone
            asked, slot, serial, error = ANSWER.unpack(message)
            if asked != self._asked:  # for a request whose time was up before
                for descriptor in descriptors:
                    os.close(descriptor)
            elif error:
                self._asking = False
                raise OSError(error, os.strerror(error))
            else:
                return slot, serial, descriptors[0]

    def _noted(self, owner: Identity, slot: int, serial: int, descriptor: int) -> Channel:
        """Return the channel of a worker, in the place of whatever had its slot before."""
        known = self._in_slot.get(slot)
        if known is not None:
            if known[1].serial == serial:
                os.close(descriptor)
                return known[1]
            self._forget(slot)
        channel = Channel(slot, serial, descriptor)
        self._in_slot[slot] = owner, channel
        self._channels.setdefault(owner, []).append(channel)
        return channel

    def _forget(self, slot: int) -> None:
        if slot not in self._in_slot:
            return
        owner, channel = self._in_slot.pop(slot)
        channels = self._channels[owner]
        channels.remove(channel)
        if not channels:
            del self._channels[owner]
        os.close(channel.descriptor)

    def _discard(self, channel: Channel) -> None:
        """Have the starter end the worker."""
        tell(self._line, NUMBER.pack(DISCARDING, channel.slot))
        self._forget(channel.slot)
        self._held = None
        self._unanswered = False

    def _withdraw(self) -> None:
        """Give up what we have asked for, and may have been granted."""
        tell(self._line, WITHDRAWING)
        self._held = None
        self._asking = False
