"""The one abstraction: an isolation mode.

Adding a mode is adding a file to `servers.modes` with a class `Mode(IsolationMode)`; docs and the
contract tests say what it must fulfil (docs/adding-a-mode.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import MappingProxyType

from servers.http import Request, Response
from servers.kernel.credentials import Identity
from servers.kernel.reaping import reap_ended
from servers.typed import NamedTuple

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import ClassVar, Final, Literal

    from servers.front.shared_memory.tally import Tally
    from servers.front.workers.worker import Worker
    from servers.profiling.timelines import Timeline

    Identities = Literal["server", "owner", "client"]


class RunsAs:
    """Whose identity a script must see."""

    SERVER: Final[Identities] = "server"
    OWNER: Final[Identities] = "owner"
    CLIENT: Final[Identities] = "client"


class Answered:
    """What `handle` returns when another process has already written the response."""

    KEEP: ClassVar[Answered]
    """The connection may serve another request."""
    CLOSE: ClassVar[Answered]
    """The connection must be closed."""


Answered.KEEP = Answered()
Answered.CLOSE = Answered()


class Limits(NamedTuple):
    """The limits of a request. Sizes are in bytes, times in seconds."""

    head: int = 16 * 1024
    body: int = 8 * 1024 * 1024
    output: int = 16 * 1024 * 1024
    script: float = 30.0
    client: float = 10.0


class Setting(NamedTuple):
    """The server's configuration; the same for every mode."""

    sites: str
    www: Identity
    private: str  # a directory of the run's own, for files that only the server may write
    programs: str = ""  # one where compiled programs are kept for the next server; "" for none
    code_cache: bool = True
    limits: Limits = Limits()
    credential_key: bytes = b""  # what clients' credentials are checked with, where they have any
    workers: int = 1  # of the pool, as asked for
    options: Mapping[str, str] = MappingProxyType({})


NO_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
WORKER_START: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"worker_start": ("fork", "exec")}
)
"""The factor of modes whose workers serve one request: how new ones start.

The pool applies it (`servers.front.master.spawn`). An executed worker has not run `check_host` and
`master_init`, so a mode with this factor prepares in `__init__` what its workers share.
"""


class IsolationMode(ABC):
    """Decides in which process or thread, and with whose credentials, a tenant's script runs."""

    precedent: ClassVar[str]
    """The real product that the mode re-enacts, as reports name it."""
    runs_as: ClassVar[Identities]
    """The identity that the script must see."""
    guarded: ClassVar[bool] = False
    """Whether the language itself keeps scripts to their site and from starting processes."""
    pool_worker: type[Worker] | None = None
    """What serves connections in each of the pool's workers, if not `front.worker.Worker`.

    Of the class, or of the object where a factor decides it.
    """
    fixed_workers: ClassVar[int] = 0
    """How many workers the pool has, whatever was asked for; 0: as many as that."""
    max_requests: ClassVar[int] = 0
    """How many requests a worker serves before it is replaced; 0: no limit."""
    options: ClassVar[Mapping[str, tuple[str, ...]]] = NO_OPTIONS
    """Factors of the mode: each name with the values it may take, the default first."""
    ends_leftovers: ClassVar[bool] = False
    """Whether processes that a script leaves running end with its request."""
    listener_options: ClassVar[tuple[tuple[int, int, int], ...]] = ()
    """Socket options (level, name, value) that the listening socket gets before it listens.

    Set in the master, still privileged, once; accepted connections inherit most of them.
    """
    own_addresses: ClassVar[bool] = False
    """Whether each tenant is asked at an address of its own (`workloads/addresses.py`)."""
    variables: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """What the interpreters of its processes find in their environment besides the usual."""
    recipe: ClassVar[tuple[str, ...] | None] = None
    """What a request costs beyond one in `dso`: the names of mechanisms that a report adds up.

    The names are those of `harness/results/analysis/mechanism_cost.py`; None: no cost is modelled.
    """
    kept_workers: ClassVar[tuple[str, ...]] = ()
    """Targets whose workers are each a tenant's for good, their processes named "tenant worker".

    `isobench costs` measures the start and the memory of one; a target is the mode, perhaps with
    factors, such as router:walls=off.
    """
    journal: int = -1
    """The journal's descriptor where the server is profiled, for programs that stamp."""
    tally: tuple[Tally, dict[str, int]] | None = None
    """Where requests are counted, and the place of each site's cell, in an observed server."""
    prelude: str = ""
    """Statements that an interpreter started by the mode runs before its program.

    A profile sets them for a mode whose timeline has probe points in such a program.
    """

    @classmethod
    def timeline(cls) -> Timeline:
        """Return the phases of a request, and the probe points that separate them.

        Called only in a server that is profiled. Import what it needs inside the method, so that
        no other server loads it. A mode without a timeline of its own has one phase, "handle".
        """
        from servers.profiling.timelines import UNDIVIDED

        return UNDIVIDED

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def option(self, name: str) -> str:
        """Return the chosen value of the factor `name`, or its default."""
        return self.setting.options.get(name, self.options[name][0])

    def check_host(self) -> None:  # noqa: B027 - a mode without demands has nothing to check
        """Check whether this host can run the mode. Called once, before the server starts.

        Raises Unavailable. Changes nothing; what it stores in this object is lost.
        """

    def listens_at(self, address: tuple[str, int]) -> None:  # noqa: B027 - for own addresses
        """Learn the server's address and port. Called once, in the master, before `master_init`."""

    def master_init(self) -> None:  # noqa: B027 - most modes prepare nothing
        """Prepare what all workers share. Called once, in the master, still privileged."""

    def child_ended(self, process: int) -> None:  # noqa: B027 - most modes have workers only
        """Called when a child of the master other than a worker exits. In the master, privileged.

        The child may be an orphan that a script left, or a process that `master_init` started.
        Raises Unavailable, which stops the server, when the mode cannot serve without it.
        """

    def counts(self) -> dict[str, int]:
        """Return what was counted beside the pool since the start. In the master, when asked.

        Its keys are some of `served` (requests), `worker_starts` and `evictions`.
        """
        return {}

    def rehearse(self, request: Request) -> None:  # noqa: B027 - for workers of one request
        """Do what each new worker will do with a request, for a script of our own.

        Called several times, in the master and in children of it, before the first worker is
        forked.
        """

    @abstractmethod
    def child_init(self) -> None:
        """Take the worker's resting identity. Called once in each new worker, still privileged."""

    @abstractmethod
    def handle(self, request: Request) -> Response | Answered:
        """Run the request's script and return its response. Called in a worker, once per request.

        May raise OSError from opening the script (the worker answers 404 or 403), ScriptFailed, or
        ScriptTimeout, which the worker raises in it when the script exceeds its time limit.
        """

    def reap_strays(self) -> None:
        """Reap children that scripts have left. Called in a worker between requests, rarely."""
        reap_ended()

    def cleanup(self, request: Request) -> None:  # noqa: B027 - most modes leave nothing behind
        """Undo what `handle` did. Called in the worker after the response and after errors.

        The client does not wait for it, but it costs throughput.
        """
