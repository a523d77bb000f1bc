"""File systems of a sandbox: a root directory that holds what a script needs and nothing else.

Made in two steps, since what is the same for all requests need not be done for each. A worker
makes itself a root that shows the system's programs and libraries, a few devices, and all sites. A
script's process gets a copy of the mounts (CLONE_NEWNS), in which the sites give way to one site,
and `/tmp` and `/proc` are new.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from servers.kernel import syscalls
from servers.kernel.confinement import DEVICES

_LINKS: Final = (
    ("/proc/self/fd", "/dev/fd"),
    ("fd/0", "/dev/stdin"),
    ("fd/1", "/dev/stdout"),
    ("fd/2", "/dev/stderr"),
    ("/tmp", "/dev/shm"),  # where glibc keeps the semaphores of multiprocessing
)

_FIXED: Final = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID
_NEW: Final = syscalls.MS_NOSUID | syscalls.MS_NODEV


class PrivateRoot:
    """The root directory of one worker. Made, entered by the worker, narrowed in its children."""

    def __init__(self, sites: str) -> None:
        self._sites = sites
        self._shown: list[str] = []
        self._place = ""

    def enter(self, place: str, readable: Iterable[str]) -> None:
        """Make the root in a mount namespace of its own, and change to it. In the worker.

        `place` is a directory to mount it on meanwhile, `readable` what to show of the system.
        Needs CAP_SYS_ADMIN.
        """
        self._place = place
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("isobench", self._place, "tmpfs", _NEW, "mode=0755,size=1m")
        for path in readable:
            self._show(path, _FIXED | syscalls.MOUNT_ATTR_NODEV)
        for name in DEVICES:
            self._show(f"/dev/{name}", syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NOEXEC)
        # The kernel mounts a new /proc only where one is to be seen already (mount_namespaces(7)).
        self._show("/proc", 0)
        self._show(self._sites, syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV)
        os.makedirs(self._place + "/tmp", exist_ok=True)
        for target, link in _LINKS:
            if not os.path.lexists(self._place + link):
                os.symlink(target, self._place + link)
        syscalls.pivot_root(self._place)

    def narrow(self, site: bytes, own_processes: bool) -> None:
        """Leave of all sites only `site`, and mount a new /tmp. In a child with mounts of its own.

        `own_processes`: the child has a pid namespace of its own, which /proc is to show.
        """
        tree = syscalls.clone_tree(site)
        syscalls.unmount(self._sites)
        syscalls.mount("isobench", "/tmp", "tmpfs", _NEW, "mode=1777,size=64m,nr_inodes=16k")
        if not self._sites.startswith("/tmp/"):
            syscalls.mount("isobench", self._sites, "tmpfs", _NEW, "mode=0755,size=64k")
        os.makedirs(site)
        syscalls.attach_tree(tree, site)
        if own_processes:
            syscalls.mount("proc", "/proc", "proc", _NEW | syscalls.MS_NOEXEC)

    def _show(self, path: str, attributes: int) -> None:
        """Put `path` of the present root into the new one, under its name; a link as a link."""
        inside = self._place + path
        if not os.path.exists(path) or self._is_shown(path):
            return
        if os.path.islink(path):
            os.makedirs(os.path.dirname(inside), exist_ok=True)
            os.symlink(os.readlink(path), inside)
            self._show(os.path.realpath(path), attributes)
            return
        _make_mount_point(inside, is_directory=os.path.isdir(path))
        tree = syscalls.clone_tree(path)
        syscalls.restrict_tree(tree, attributes)
        syscalls.attach_tree(tree, inside)
        self._shown.append(path + "/")

    def _is_shown(self, path: str) -> bool:
        return any(f"{path}/".startswith(shown) for shown in self._shown)


def _make_mount_point(path: str, is_directory: bool) -> None:
    if is_directory:
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC))
