"""Have it start a program as a user of the system."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Scene

PRECEDENT = "suEXEC's security model, step 8: not for users of the system"
SHARED = True
CONTROL = "careless_wrapper"


def instead(scene: Scene) -> str:
    scene.plant_program(scene.site, owner=33, mode=0o755)
    return scene.call_wrapper("program.py", uid=33, gid=33)


def missing(scene: Scene) -> str | None:
    return None if scene.wrapper else "no setuid program starts scripts here"


def proof(scene: Scene) -> str | None:
    return scene.program_ran()
