"""What modes ask of a host: each function passes in silence or raises Unavailable.

Every mode imports this, and uses it before the server runs. So what only these functions need, they
import themselves: a server would carry it for nothing.
"""

from __future__ import annotations

import os
import sys

from servers.errors import Unavailable
from servers.kernel import detach, syscalls
from servers.mode import Setting
from servers.sites import Sites

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_RUN_AS_ROOT = (
    "run isobench as root, or as an ordinary user that newuidmap knows "
    "(package uidmap, and a range of at least 65536 ids in /etc/subuid and /etc/subgid)"
)


def other_identities(setting: Setting) -> None:
    """The server must be able to become www and each tenant."""
    needed = syscalls.capability_mask(syscalls.CAP_SETUID, syscalls.CAP_SETGID)
    # An ordinary user has both in a user namespace of its own, where the kernel denies setgroups.
    denied = _told_by("setgroups").strip() == "deny"
    if denied or syscalls.capget().effective & needed != needed:
        raise Unavailable("changing identity requires CAP_SETUID and CAP_SETGID", _RUN_AS_ROOT)
    for map_name, ids in (
        ("uid_map", [setting.www.uid, *(site.owner.uid for site in Sites(setting.sites))]),
        ("gid_map", [setting.www.gid, *(site.owner.gid for site in Sites(setting.sites))]),
    ):
        ranges = list(_mapped(map_name))
        for number in ids:
            if not any(number in mapped for mapped in ranges):
                raise Unavailable(
                    f"id {number} does not exist in this user namespace ({map_name})",
                    _RUN_AS_ROOT,
                )


def _mapped(map_name: str) -> Iterator[range]:
    for line in _told_by(map_name).splitlines():
        first, _, count = (int(word) for word in line.split())
        yield range(first, first + count)


def _told_by(name: str) -> str:
    with open(f"/proc/self/{name}") as file:
        return file.read()


def user_namespace(uids: Collection[int], gids: Collection[int]) -> None:
    """A process must be able to enter a user namespace that holds just these ids."""
    from servers.kernel.user_namespace import enter, fits

    if not (fits(uids) and fits(gids)):
        raise Unavailable(
            "the ids of www and the tenants are too scattered for the map of a user namespace",
            "give the tenants consecutive uids: a map holds about 290 ranges",
        )
    if number := detach.failure_of(detach.attempt(lambda: enter(uids, gids))):
        raise Unavailable(
            f"the kernel refuses a user namespace: {os.strerror(number)}",
            "raise the sysctl user.max_user_namespaces, set kernel.unprivileged_userns_clone "
            "to 1 where it exists, and in a container permit unshare(CLONE_NEWUSER)",
        )


def socket_options(options: Sequence[tuple[int, int, int]]) -> None:
    """The kernel must know these options of a listening socket (level, name, value)."""
    import socket

    with socket.socket() as listener:
        for level, name, value in options:
            try:
                listener.setsockopt(level, name, value)
            except OSError as error:
                raise Unavailable(
                    f"the kernel refuses the socket option {name} of level {level}: "
                    f"{error.strerror}",
                    "use a Linux kernel that has it (TCP_SAVE_SYN: since 4.2), not an emulated "
                    "one (gVisor)",
                ) from error


def pidfds() -> None:
    """The kernel must name a process by a descriptor, as who watches others needs it to."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        raise Unavailable(
            f"pidfds are not available: {error.strerror}",
            "use Linux 5.3 or newer, and in a container a seccomp profile that allows pidfd_open",
        ) from error


def readable_interpreter(setting: Setting) -> None:
    """Tenants must be able to run the interpreter, wherever it is installed."""
    from servers.front.startup.containment import unreadable_for

    paths = [sys.executable, os.__file__, setting.sites]
    for site in list(Sites(setting.sites))[:1]:
        # An ordinary user's scripts run as that user; only root can look as somebody else.
        tenant = site.owner if os.geteuid() == 0 else setting.www
        try:
            closed = unreadable_for(tenant, paths)
        except OSError as error:
            raise Unavailable(f"cannot become a tenant: {error}", _RUN_AS_ROOT) from error
        if closed is not None:
            raise Unavailable(
                f"tenants cannot read {closed}",
                "use a Python that every user can run, such as /usr/bin/python3, "
                "or run isobench where it may make mount namespaces",
            )


def setuid_programs(setting: Setting) -> None:
    """The kernel must honour a setuid bit in the run's private directory."""
    if os.statvfs(setting.private).f_flag & os.ST_NOSUID:
        raise Unavailable(
            f"{setting.private} is on a file system mounted nosuid",
            "set TMPDIR to a directory on a file system without that option (findmnt -T DIR), "
            "or run isobench where it may make mount namespaces",
        )
    if syscalls.prctl(syscalls.PR_GET_NO_NEW_PRIVS):
        raise Unavailable(
            "no_new_privs is set, so the kernel ignores setuid bits",
            "start isobench outside of what set it (a container's no-new-privileges, "
            "systemd's NoNewPrivileges=)",
        )


def c_compiler() -> Sequence[str]:
    """Return the command of a C compiler: the system's, or else that of the ziglang wheel."""
    import shutil

    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return [path]
    if zig := _zig():
        return [zig, "cc"]
    raise Unavailable("there is no C compiler", "apt-get install gcc, or pip install ziglang")


def _zig() -> str | None:
    # The import path has lost what it got from PYTHONPATH, for the scripts' sake.
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    candidates = (os.path.join(entry, "ziglang", "zig") for entry in (*sys.path, *given) if entry)
    return next(filter(os.path.isfile, candidates), None)
