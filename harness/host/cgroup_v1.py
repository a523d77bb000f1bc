"""Cgroups of version 1, where a host keeps controllers there instead of in version 2 (cgroups(7)).

Each controller has a hierarchy of its own, so a process is put into one directory for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from harness.host.cgroup import lines_of, mounts, remove_stale


def own_directories(root: Path = Path("/")) -> dict[str, Path]:
    """Return this process's directory in the hierarchy of each controller, by the controller.

    `root` is where the host's files are.
    """
    points = {name: point for point, options in mounts(root, "cgroup") for name in options}
    found = {}
    for line in lines_of(root / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" or not path:
            continue
        for name in names.split(","):
            if name in points:
                found[name] = points[name] / path.lstrip("/")
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
