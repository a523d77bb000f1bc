"""Have it start one's own program with another tenant's gid."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Scene

PRECEDENT = "CVE-2007-1743: suEXEC did not look whether user and group belong together"
SHARED = True
CONTROL = "careless_wrapper"


def instead(scene: Scene) -> str:
    scene.plant_program(scene.site, mode=0o755)
    return scene.call_wrapper("program.py", gid=scene.neighbour_uid)


def missing(scene: Scene) -> str | None:
    return None if scene.wrapper else "no setuid program starts scripts here"


def proof(scene: Scene) -> str | None:
    return scene.program_ran()
