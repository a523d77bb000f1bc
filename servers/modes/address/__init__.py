"""`address`: each tenant has a listening address of its own, and no front is in the way.

A tenant's workers are that tenant for good, and accept by themselves. A supervisor, which reads no
byte that a client sends, holds the listeners of all tenants, starts workers on demand, as inetd
does, and has idle ones end.
"""

from __future__ import annotations

import resource

from servers import host_checks
from servers.errors import Unavailable
from servers.front.starters.starter import Makings
from servers.http import Request, Response, plain_response
from servers.interpreter.embedded import Embedded, environment_of, server_environment
from servers.kernel import syscalls
from servers.kernel.credentials import drop_for_good
from servers.kernel.reaping import end_leftovers
from servers.mode import IsolationMode, RunsAs, Setting
from servers.modes.address.addresses import UIDS, address_of
from servers.modes.address.supervisor import Allowance, Supervisor
from servers.modes.sandbox.walls import LAYERS, Walls, resource_limits
from servers.sites import Sites

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline


class Mode(IsolationMode):
    """Has an address for each tenant, at which the tenant's own walled-in workers accept."""

    precedent = "php-fpm with a pool a tenant, inetd, an Apache a customer"
    runs_as = RunsAs.OWNER
    recipe = ("tenant_process",)
    ends_leftovers = True
    own_addresses = True
    fixed_workers = 1
    options = {  # noqa: RUF012 - read-only, see IsolationMode
        "walls": ("on", "off"),
        "bound": ("1024", "1", "2", "4", "16", "64", "256", "16384"),
        "idle": ("60", "1", "600"),
    }

    _supervisor: Supervisor
    _listens_at: tuple[str, int]

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here."""
        from servers.profiling.timelines import BACK, EMBEDDED, FRONT, ProbePoint, Timeline

        return Timeline(
            (*FRONT, *EMBEDDED, *BACK),
            probes=(
                ProbePoint(f"{__name__}.tenant_worker:TenantWorker._received", "accepted"),
                ProbePoint(f"{__name__}.tenant_worker:plain_request", "received"),
                ProbePoint(f"{__name__}:Content.handle", "located"),
            ),
        )

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        # All but the time of the processor, which adds up over the requests of a worker.
        limits = resource_limits(setting.limits.script)
        del limits[resource.RLIMIT_CPU]
        self._walls = Walls(setting, frozenset(LAYERS), limits)

    @property
    def _is_walled(self) -> bool:
        return self.option("walls") == "on"

    def check_host(self) -> None:
        """Changing identity takes root; workers are watched by pidfds; each tenant has a uid."""
        host_checks.other_identities(self.setting)
        host_checks.pidfds()
        _must_differ([site.owner.uid for site in Sites(self.setting.sites)])
        if self._is_walled:
            self._walls.check_host(lambda _: "address:walls=off")

    def listens_at(self, address: tuple[str, int]) -> None:
        """Note the port, which tenants' own addresses share."""
        self._listens_at = address

    def master_init(self) -> None:
        """Start the supervisor, which listens for all tenants."""
        interpreter = Embedded(self.setting.limits.output, self.setting.code_cache)
        sites = self.setting.sites
        makings = self._walls.makings() if self._is_walled else Makings.unwalled(sites)
        allowance = Allowance(
            bound=int(self.option("bound")),
            per_tenant=self.setting.workers,
            idle_seconds=float(self.option("idle")),
        )
        content = Content(self, interpreter, server_environment())
        self._supervisor = Supervisor(content, self._listens_at[1], makings, allowance)

    def counts(self) -> dict[str, int]:
        """Return what the supervisor has counted."""
        return self._supervisor.counts()

    def child_ended(self, process: int) -> None:
        """Without its supervisor the mode cannot serve."""
        self._supervisor.check_lives(process)

    def child_init(self) -> None:
        """Become www for good: what listens at the server's own address runs no script."""
        drop_for_good(self.setting.www)

    def handle(self, request: Request) -> Response:
        """Say where the tenant is: in the one worker of the pool, at the server's own address.

        421 is what RFC 9110, section 15.5.20, has for it.
        """
        owner = request.script.site.owner
        request.keep_alive = False
        where = f"http://{address_of(owner.uid)}:{self._listens_at[1]}/"
        return plain_response(421, f"this tenant has its own address: {where}")


class Content(IsolationMode):
    """What a tenant's worker does with a request, as `front.worker.Worker` calls it."""

    precedent = Mode.precedent
    runs_as = RunsAs.OWNER

    def __init__(self, mode: Mode, interpreter: Embedded, environment: dict[bytes, bytes]) -> None:
        super().__init__(mode.setting)
        self._interpreter = interpreter
        self._environment = environment
        self.tally = mode.tally

    def child_init(self) -> None:
        """Do nothing: the worker is who it stays already."""

    def handle(self, request: Request) -> Response:
        """Run the script here."""
        return self._interpreter.run(request, environment_of(request, self._environment))

    def rehearse(self, request: Request) -> None:
        """Run a script of our own."""
        self.handle(request)

    def cleanup(self, request: Request) -> None:
        """End what the script has left running, where that is known."""
        if syscalls.has_children():
            end_leftovers()


def _must_differ(uids: list[int]) -> None:
    """Raise Unavailable where two sites would have the same address, or one would have none."""
    owners = [uid for uid in uids if uid]
    for uid in owners:
        if uid >= UIDS:
            raise Unavailable(
                f"the uid {uid} has no loopback address of its own",
                f"let the sites' owners have uids below {UIDS}",
            )
    if len(set(owners)) < len(owners):
        raise Unavailable(
            "two sites have the same owner, and with it the same address",
            "give each site its own owner",
        )
