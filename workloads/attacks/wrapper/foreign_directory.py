"""Have it start a tenant's program as the neighbour."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Scene

PRECEDENT = "suEXEC's security model, step 18: only the owner's own"
SHARED = True
CONTROL = "careless_wrapper"


def instead(scene: Scene) -> str:
    scene.plant_program(scene.site, mode=0o755)
    return scene.call_wrapper("program.py", uid=scene.neighbour_uid, gid=scene.neighbour_uid)


def missing(scene: Scene) -> str | None:
    return None if scene.wrapper else "no setuid program starts scripts here"


def proof(scene: Scene) -> str | None:
    return scene.program_ran()
