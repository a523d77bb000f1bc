"""A peer: a real product, set up with a private configuration to stand beside a mode.

Adding a peer is adding a file to `servers.peers` with a class `Product(Peer)`. It says what it
needs of the host, writes its configuration, and names the commands that run it;
`servers.peer_main` starts them in namespaces of their own and watches them.

A peer is no Python server: nothing of this is loaded while it serves.
"""

from __future__ import annotations

import glob
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Final, Literal, NamedTuple

from servers.errors import Unavailable
from servers.kernel.credentials import Identity

Language = Literal["python", "php", "perl"]

NO_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


class Tenant(NamedTuple):
    """A tenant as a product's configuration names it.

    `site` is its directory, owned by tenant:www; `own` a copy that is owned by tenant:tenant and
    open to read, for products that demand it (`Peer.wants_own_copies`). Where the site itself is
    owned by tenant:tenant, `own` is the site.
    """

    name: str
    uid: int
    gid: int
    site: str
    own: str


class Setting(NamedTuple):
    """What a configuration is made from. `run` is an empty directory of the server's own.

    `processes` is how many requests are served at once; `module` a file named by the user, for
    modules that no distribution packs. `script_seconds` is a script's time limit, for products that
    can set one; 0: the product's usual one.
    """

    tenants: tuple[Tenant, ...]
    sites: str
    www: Identity
    host: str
    port: int
    run: str
    processes: int
    module: str
    options: Mapping[str, str]
    script_seconds: int = 0


class Need(NamedTuple):
    """A file that the product needs, as a pattern for `glob`, and the package that has it."""

    pattern: str
    package: str

    def found(self) -> str | None:
        """Return the file, the last one by name where there are several; None for none."""
        return max(glob.glob(self.pattern), default=None)


class Peer(ABC):
    """A product with its settings."""

    precedent: ClassVar[str]
    """The product's name and what does the isolation, as reports name it."""
    beside: ClassVar[str]
    """The mode that re-enacts it."""
    runs_as: ClassVar[Literal["server", "owner"]]
    """The identity that a script must see."""
    in_own_group: ClassVar[bool] = True
    """Whether a script's gid is among its supplementary groups too, as initgroups(3) puts it."""
    language: ClassVar[Language]
    """In which language its scripts are."""
    needs: ClassVar[Sequence[Need]]
    """What has to be installed."""
    packed: ClassVar[bool] = True
    """Whether Debian has a package with it; if not, `--module` names its file."""
    options: ClassVar[Mapping[str, tuple[str, ...]]] = NO_OPTIONS
    """Factors: each name with the values it may take, the default first."""
    wants_own_copies: ClassVar[bool] = False
    """Whether scripts have to belong to tenant:tenant and be readable by all."""
    forks_only_workers: ClassVar[bool] = False
    """Whether each process that it makes once it is ready is a worker of one tenant, who keeps it.

    Then the number of its processes tells how many requests found no worker.
    """
    wants_suexec: ClassVar[bool] = False
    """Whether Apache's suEXEC wrapper starts the scripts."""
    version_command: ClassVar[Sequence[str]]
    """A command whose first line names what interprets the scripts; see `interpreter`."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def option(self, name: str) -> str:
        """Return the chosen value of a factor, or its default."""
        return self.setting.options.get(name, self.options[name][0])

    @classmethod
    def check(cls, module: str = "") -> None:
        """Raise Unavailable where this host lacks something, and say how to get it."""
        missing = [need for need in cls.needs if need.found() is None]
        packages = dict.fromkeys(need.package for need in missing if need.package)
        if packages:
            raise Unavailable(
                f"the host lacks {', '.join(packages)} ({missing[0].pattern})",
                f"apt-get install --no-install-recommends {' '.join(packages)}",
            )
        if not cls.packed and not module and missing:
            raise Unavailable(
                f"Debian does not package this module, and {missing[0].pattern} does not exist",
                "build the module, and name its file with --module FILE",
            )

    @abstractmethod
    def files(self) -> Mapping[str, str]:
        """Return the text of each file of the configuration, by its path in `Setting.run`."""

    @abstractmethod
    def commands(self) -> Sequence[Sequence[str]]:
        """Return the commands that serve, in order; each stays in the foreground."""

    def sockets(self) -> Sequence[str]:
        """Return the sockets that have to be there before the product is ready, as patterns."""
        return ()

    def directories(self) -> Sequence[tuple[str, Identity]]:
        """Return further directories in `Setting.run`, and whose each is; they have mode 0750.

        The group is that of the identity.
        """
        return ()

    def environment(self) -> Mapping[str, str]:
        """Return what the commands find in their environment beside PATH."""
        return {}


def need_of(peer: type[Peer], package: str) -> str:
    """Return the file of a package that `Peer.check` has found."""
    need = next(need for need in peer.needs if need.package == package)
    found = need.found()
    assert found is not None
    return found
