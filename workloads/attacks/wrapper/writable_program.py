"""Name a program that others may change."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Scene

PRECEDENT = "suEXEC's security model, step 16: no program that others write to"
SHARED = True
CONTROL = "careless_wrapper"


def instead(scene: Scene) -> str:
    scene.plant_program(scene.site, mode=0o777)
    return scene.call_wrapper("program.py")


def missing(scene: Scene) -> str | None:
    return None if scene.wrapper else "no setuid program starts scripts here"


def proof(scene: Scene) -> str | None:
    return scene.program_ran()
