"""Cgroups of version 1, where a host keeps controllers there instead of in version 2 (cgroups(7)).

Each controller has a hierarchy of its own, so a process is put into one directory for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from harness.host.cgroup import remove_stale


def own_directories(root: Path = Path("/")) -> dict[str, Path]:
    """Return this process's directory in the hierarchy of each controller, by the controller.

    `root` is where the host's files are.
    """
    mounts = _mount_points(root)
    found = {}
    for line in _lines(root / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" or not path:
            continue
        for name in names.split(","):
            if name in mounts:
                found[name] = mounts[name] / path.lstrip("/")
    return found


def create(name: str, controllers: Sequence[str], root: Path = Path("/")) -> dict[str, Path] | None:
    """Make a directory below ours for each controller; None where one cannot be made."""
    parents = own_directories(root)
    made: dict[str, Path] = {}
    for controller in controllers:
        parent = parents.get(controller, root / "nowhere")
        remove_stale(parent)
        path = parent / name
        try:
            path.mkdir()
        except OSError:
            for other in made.values():
                with suppress(OSError):
                    other.rmdir()
            return None
        made[controller] = path
    return made


def _mount_points(root: Path) -> dict[str, Path]:
    # proc_pid_mountinfo(5): the mount point is the fifth field, the type follows the hyphen, and
    # the last field has the controllers among the options.
    found = {}
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) > 4 and len(kind) > 2 and kind[0] == "cgroup":
            for option in kind[-1].split(","):
                found[option] = root / fields[4].lstrip("/")
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_bytes().decode(errors="surrogateescape").split("\n")
    except OSError:
        return []
