"""Call it in a directory whose name begins as the document root's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Scene

PRECEDENT = "CVE-2007-1742: suEXEC compared only the beginning of the directory's name"
SHARED = True
CONTROL = "careless_wrapper"


def instead(scene: Scene) -> str:
    directory = scene.sites.with_name(f"{scene.sites.name}-evil")
    found = scene.inside(directory)  # the server may have a /dev/shm of its own, and all in there
    found.mkdir(exist_ok=True)
    found.chmod(0o755)
    os.chown(found, scene.attacker_uid, scene.www_gid)
    scene.plant_program(found)
    return scene.call_wrapper("program.py", directory)


def missing(scene: Scene) -> str | None:
    return None if scene.wrapper else "no setuid program starts scripts here"


def proof(scene: Scene) -> str | None:
    return scene.program_ran()
