"""Name a program of another site, by way of ..."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Scene

PRECEDENT = "suEXEC's security model, step 4: no path but a name"
SHARED = True
CONTROL = "careless_wrapper"


def instead(scene: Scene) -> str:
    scene.plant_program(scene.neighbour, owner=scene.neighbour_uid, mode=0o755)
    return scene.call_wrapper(
        f"../{scene.neighbour.name}/program.py", uid=scene.neighbour_uid, gid=scene.neighbour_uid
    )


def missing(scene: Scene) -> str | None:
    return None if scene.wrapper else "no setuid program starts scripts here"


def proof(scene: Scene) -> str | None:
    return scene.program_ran()
