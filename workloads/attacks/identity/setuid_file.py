"""Run a setuid-root program that lies in one's own site."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import os

    process = os.posix_spawn(f"{given.site}/setuid", ["touch", f"{given.drop}/as_root"], {})
    return os.waitpid(process, 0)


def missing(scene: Scene) -> str | None:
    if os.statvfs(scene.site).f_flag & os.ST_NOSUID:
        return "the sites are on a file system that ignores setuid bits"
    return None


def proof(scene: Scene) -> str | None:
    return scene.gained_identity()
