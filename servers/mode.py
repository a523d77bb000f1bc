"""The one abstraction: an isolation mode.

Adding a mode is adding a file to `servers.modes` with a class `Mode(IsolationMode)`; docs and the
contract tests say what it has to keep to (docs/adding-a-mode.md).
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

    from servers.profiling.timelines import Timeline

    Identities = Literal["server", "owner", "client"]


class RunsAs:
    """Whose identity a script must see."""

    SERVER: Final[Identities] = "server"
    OWNER: Final[Identities] = "owner"
    CLIENT: Final[Identities] = "client"


class Answered:
    """The response has been written; what `handle` returns when another process did that."""

    KEEP: ClassVar[Answered]
    """The connection may serve another request."""
    CLOSE: ClassVar[Answered]
    """The connection must be closed."""


Answered.KEEP = Answered()
Answered.CLOSE = Answered()


class Limits(NamedTuple):
    """What a request may cost. Sizes are in bytes, times in seconds."""

    head: int = 16 * 1024
    body: int = 8 * 1024 * 1024
    output: int = 16 * 1024 * 1024
    script: float = 30.0
    client: float = 10.0


class Setting(NamedTuple):
    """What a server was started with; the same for every mode."""

    sites: str
    www: Identity
    private: str  # a directory of the run's own, for files that only the server may write
    code_cache: bool = True
    limits: Limits = Limits()
    credential_key: bytes = b""  # what clients' credentials are checked with, where they have any
    options: Mapping[str, str] = MappingProxyType({})


NO_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
WORKER_START: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"worker_start": ("fork", "exec")}
)
"""The factor of modes that use up their workers: how new ones come to be (`servers.front.spawn`).

It is the pool that heeds it. An executed worker has not been through `check_host` and
`master_init`, so a mode with this factor prepares in `__init__` what its workers share.
"""


class IsolationMode(ABC):
    """Decides in which process or thread, and with whose credentials, a tenant's script runs."""

    precedent: ClassVar[str]
    """The real product that does it this way, as every report names it."""
    runs_as: ClassVar[Identities]
    """The identity that the script must see."""
    guarded: ClassVar[bool] = False
    """Whether the language itself keeps scripts to their site and from starting processes."""
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
    recipe: ClassVar[tuple[str, ...] | None] = None
    """What a request takes beyond one in `dso`, as bare costs are named that a report adds up.

    The names are those of `reports/sections/explained.py`; None: it is not reckoned.
    """
    prelude: str = ""
    """Statements that an interpreter which the mode executes runs first, before its program.

    A profile's, which puts them here for a mode whose timeline has seams in such a program.
    """

    @classmethod
    def timeline(cls) -> Timeline:
        """Return the phases of a request, and the seams at which it passes from one to the next.

        Called where a server is profiled, nowhere else; so what it takes from there it imports
        itself, and no other server has it loaded. Without one of its own, all that a mode does is
        one phase.
        """
        from servers.profiling.timelines import UNDIVIDED

        return UNDIVIDED

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def option(self, name: str) -> str:
        """Return the chosen value of the factor `name`, or its default."""
        return self.setting.options.get(name, self.options[name][0])

    def check_host(self) -> None:  # noqa: B027 - a mode without demands has nothing to check
        """Say whether this host can run the mode. Before the server is executed, once.

        Raises Unavailable. Changes nothing; what it notes in this object is lost.
        """

    def master_init(self) -> None:  # noqa: B027 - most modes prepare nothing
        """Prepare what all workers share. In the master, still privileged, once."""

    def child_ended(self, process: int) -> None:  # noqa: B027 - most modes have workers only
        """Hear of the end of a child of the master that is no worker. In the master, privileged.

        It may be an orphan that a script has left, or what `master_init` has started. Raises
        Unavailable, which stops the server, when the mode cannot serve without it.
        """

    def rehearse(self, request: Request) -> None:  # noqa: B027 - for workers of one request
        """Do what each new worker will do with a request, for a script of our own.

        In the master, several times, before the first worker is forked, and in children of it.
        """

    @abstractmethod
    def child_init(self) -> None:
        """Take the worker's resting identity. In each new worker, still privileged, once."""

    @abstractmethod
    def handle(self, request: Request) -> Response | Answered:
        """Run the request's script and return its response. In a worker, once a request.

        May raise OSError from opening the script (the worker answers 404 or 403), ScriptFailed, or
        ScriptTimeout, which the worker throws in when the script's time is up.
        """

    def reap_strays(self) -> None:
        """Reap children that scripts have left. In a worker between two requests, seldom."""
        reap_ended()

    def cleanup(self, request: Request) -> None:  # noqa: B027 - most modes leave nothing behind
        """Undo what `handle` did. In the worker, after the response was sent, and after errors.

        The client does not wait for it; throughput pays for it.
        """
