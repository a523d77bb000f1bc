"""Walls around a tenant's process: namespaces, a Landlock domain, a filter of system calls, limits.

Two steps. A process that makes others *enters*: it has what they need, and next to nothing of
root's power. A process that it then makes *walls itself in*, once, and becomes a site's owner.

Making namespaces takes CAP_SYS_ADMIN, with which a process that is taken over soon is the host's
root. So whoever enters has it in a user namespace only, where it is www and nobody but www and the
tenants exists (`user_namespace`). What it makes stays in there, without any capability.
"""

from __future__ import annotations

import math
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from servers import host_checks
from servers.errors import Unavailable
from servers.interpreter.embedded import ScriptFailed
from servers.kernel import keyring, seccomp, syscalls, user_namespace
from servers.kernel.all_ids import CredentialError
from servers.kernel.confinement import DEVICES, SYSTEM
from servers.kernel.credentials import become, drop_for_good
from servers.mode import Setting
from servers.modes.sandbox import allowed_calls
from servers.modes.sandbox.private_root import PrivateRoot
from servers.sites import Site, Sites

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.front.starters.starter import Makings

NAMESPACES: Final = {
    "mount": syscalls.CLONE_NEWNS,
    "pid": syscalls.CLONE_NEWPID,
    "ipc": syscalls.CLONE_NEWIPC,
    "uts": syscalls.CLONE_NEWUTS,
    "net": syscalls.CLONE_NEWNET,
}
LAYERS: Final = (*NAMESPACES, "landlock", "seccomp", "rlimits")
_NEEDED: Final = syscalls.capability_mask(
    syscalls.CAP_SETUID, syscalls.CAP_SETGID, syscalls.CAP_KILL, syscalls.CAP_SYS_ADMIN
)
_HOSTNAME: Final = "sandbox"
_READ: Final = (
    syscalls.LANDLOCK_ACCESS_FS_EXECUTE
    | syscalls.LANDLOCK_ACCESS_FS_READ_FILE
    | syscalls.LANDLOCK_ACCESS_FS_READ_DIR
)
_READ_AND_WRITE: Final = (
    syscalls.LANDLOCK_ACCESS_FS_READ_FILE | syscalls.LANDLOCK_ACCESS_FS_WRITE_FILE
)
_MIB: Final = 1024 * 1024


class LayerFailed(ScriptFailed):
    """A layer could not be put on, so the script was not run."""

    def __init__(self, layer: str, error: OSError) -> None:
        super().__init__(f"its sandbox cannot have the layer {layer}: {error.strerror}")


class Walls:
    """The layers of `LAYERS` that are chosen, around processes of the owners of sites."""

    def __init__(self, setting: Setting, layers: frozenset[str], limits: dict[int, int]) -> None:
        """`limits` are those of setrlimit(2), for the layer `rlimits`. Changes nothing yet."""
        self._setting = setting
        self._layers = layers
        self._wanted_limits = limits
        self.fork: Callable[[], int] = os.fork

    # Before the server starts

    def check_host(self, without: Callable[[str], str]) -> None:
        """Try each layer alone, then all together. Raises Unavailable.

        `without` names the target that leaves a layer out.
        """
        host_checks.other_identities(self._setting)
        host_checks.user_namespace(*self._ids())
        if self._has("landlock") and not syscalls.landlock_abi():
            reason = "this kernel has no Landlock, or was started without"
            raise _unavailable("landlock", reason, without)
        if self._has("seccomp"):
            seccomp.check_available()
        for layer, flag in self._namespaces():
            if reason := _failure(partial(self._try_namespace, flag)):
                raise _unavailable(layer, reason, without)
        if reason := _failure(self._try_everything):
            raise Unavailable(reason, f"run with that layer off, such as {without('mount')}")

    def _try_namespace(self, flag: int) -> None:
        user_namespace.enter(*self._ids())
        syscalls.unshare(flag)

    def _try_everything(self) -> None:
        """Do all that precedes a script. In a process to throw away."""
        site = next((site for site in Sites(self._setting.sites) if site.owner.uid), None)
        self.prepare()
        self.enter()
        if self.fork():
            os._exit(os.waitstatus_to_exitcode(os.wait()[1]))  # the child tells how it went
        if site is not None:
            self.wall_in(site)

    def _ids(self) -> tuple[list[int], list[int]]:
        """Return the uids and the gids that exist behind the walls: www's and the tenants'."""
        owners = [site.owner for site in Sites(self._setting.sites)]
        everybody = [self._setting.www, *(owner for owner in owners if owner.uid)]
        return [who.uid for who in everybody], [who.gid for who in everybody]

    def _has(self, layer: str) -> bool:
        return layer in self._layers

    def _namespaces(self) -> Iterator[tuple[str, int]]:
        return ((layer, flag) for layer, flag in NAMESPACES.items() if self._has(layer))

    # In the server

    def prepare(self) -> None:
        """Decide who exists behind the walls, and compile the filter, once for all."""
        self._existing = self._ids()
        if self._has("seccomp"):
            self._install_filter = seccomp.Installation(allowed_calls.compiled())

    def makings(self) -> Makings:
        """Prepare, and return how a starter makes workers behind these walls."""
        from servers.front.starters.starter import (
            Makings,
        )  # here, since not all who have walls have one

        self.prepare()
        return Makings(self.enter, self.make_child, self.wall_in)

    def enter(self) -> None:
        """Become www with four capabilities of a user namespace, in a root directory of its own.

        In a process that makes others by `make_child`.
        """
        flags = sum(flag for _, flag in self._namespaces())
        self.fork = syscalls.ForkInto(flags) if flags else os.fork
        self._limits = feasible(self._wanted_limits)
        self._accesses = syscalls.landlock_accesses(syscalls.landlock_abi())
        self._rules = self._rules_for_all()
        self._choose_layers()
        user_namespace.enter(*self._existing)
        become(self._setting.www)
        if self._has("mount"):
            with _naming("mount"):
                self._root = PrivateRoot(self._setting.sites)
                self._root.enter(self._setting.private, (*SYSTEM, *_interpreter()))
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        syscalls.drop_bounding_set(keep=_NEEDED)
        syscalls.capset(syscalls.Capabilities(_NEEDED, _NEEDED))

    def make_child(self) -> int:
        """Fork as os.fork does. Raises LayerFailed, and BlockingIOError, which means: later."""
        try:
            return self.fork()
        except BlockingIOError:
            raise
        except OSError as error:  # ENOSPC: the user has as many namespaces as user.max_* allow
            raise LayerFailed("of namespaces", error) from error

    # Layers, in the order in which a child puts them on. Each needs what the next takes away.

    def _choose_layers(self) -> None:
        outer = {
            "mount": self._narrow_root,
            "pid": _check_first_process,
            "uts": _take_neutral_name,
            "rlimits": self._limit_resources,
        }
        inner = {"landlock": self._confine_access, "seccomp": self._confine_calls}
        self._outer, self._inner = (
            {layer: put_on for layer, put_on in layers.items() if self._has(layer)}
            for layers in (outer, inner)
        )

    def wall_in(self, site: Site) -> None:
        """Become the owner behind all layers that are chosen. In the child.

        Raises LayerFailed, and OSError for an owner who does not exist here, such as root.
        """
        _put_on(self._outer, site)
        keyring.join_new()
        drop_for_good(site.owner)
        _put_on(self._inner, site)

    def _narrow_root(self, site: Site) -> None:
        self._root.narrow(site.root, own_processes=self._has("pid"))

    def _limit_resources(self, _: Site) -> None:
        for kind, amount in self._limits:
            resource.setrlimit(kind, (amount, amount))

    def _confine_access(self, site: Site) -> None:
        """Allow all in the site and /tmp, reading the system, and no TCP; keep signals inside."""
        files, ports, scoped = self._accesses
        own = [(site.root, files), (b"/tmp", files)]
        syscalls.landlock_restrict(files, [*self._rules, *own], ports, scoped)

    def _rules_for_all(self) -> list[tuple[bytes, int]]:
        if self._has("mount"):  # what is not to be read is not there
            return [(b"/", _READ), (b"/dev", _READ_AND_WRITE)]
        return [
            *((os.fsencode(path), _READ) for path in (*SYSTEM, *_interpreter(), "/proc")),
            *((b"/dev/" + os.fsencode(name), _READ_AND_WRITE) for name in DEVICES),
        ]

    def _confine_calls(self, _: Site) -> None:
        self._install_filter()


def _put_on(layers: dict[str, Callable[[Site], None]], site: Site) -> None:
    for layer, put_on in layers.items():
        with _naming(layer):
            put_on(site)


def _check_first_process(_: Site) -> None:
    if os.getpid() != 1:
        raise CredentialError("the child is not the first process of a pid namespace")


def _take_neutral_name(_: Site) -> None:
    socket.sethostname(_HOSTNAME)


def _interpreter() -> tuple[str, str]:
    return sys.base_prefix, sys.base_exec_prefix


def resource_limits(script_seconds: float) -> dict[int, int]:
    """Return the limits of a script's processes (setrlimit(2)), sizes in bytes.

    Each is that of one process, but for the number of processes, which the kernel counts for a uid
    in a user namespace: a tenant's in one worker, so those of one request. What they use together
    is for a cgroup to limit; the server's belongs to whoever has put it there.
    """
    return {
        # Later than the server's own time limit, whose answer tells more.
        resource.RLIMIT_CPU: math.ceil(script_seconds) + 1,
        resource.RLIMIT_AS: 512 * _MIB,
        resource.RLIMIT_FSIZE: 64 * _MIB,
        resource.RLIMIT_STACK: 8 * _MIB,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_NPROC: 64,
        resource.RLIMIT_CORE: 0,
    }


def feasible(limits: dict[int, int]) -> list[tuple[int, int]]:
    """Return limits that may be set: none above the present hard one."""
    present = ((kind, resource.getrlimit(kind)[1]) for kind in limits)
    return [
        (kind, limits[kind] if hard == resource.RLIM_INFINITY else min(limits[kind], hard))
        for kind, hard in present
    ]


@contextmanager
def _naming(layer: str) -> Iterator[None]:
    """Say of an error which layer it befell."""
    try:
        yield
    except OSError as error:
        raise LayerFailed(layer, error) from error


def _failure(attempt: Callable[[], None]) -> str:
    """Return why `attempt` fails in a child, or nothing."""
    told, tell = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        reason = "its process ended without an answer"
        try:
            attempt()
            reason = "ok"
        except Exception as error:
            reason = getattr(error, "strerror", None) or str(error)
        finally:
            os.write(tell, reason.encode())
            os._exit(0)
    os.close(tell)
    with open(told, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(child, 0)
    return "" if answer == "ok" else answer or "its process ended without an answer"


def _unavailable(layer: str, reason: str, without: Callable[[str], str]) -> Unavailable:
    return Unavailable(
        f"the layer {layer} is not available here: {reason}",
        f"run with {without(layer)}, or where the kernel allows it (outside of a container)",
    )
