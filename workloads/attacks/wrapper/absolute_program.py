"""Name the program by an absolute path."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Scene

PRECEDENT = "suEXEC's security model, step 4: no path but a name"
SHARED = True
CONTROL = "careless_wrapper"


def instead(scene: Scene) -> str:
    program = scene.plant_program(scene.site)
    return scene.call_wrapper(str(program))


def missing(scene: Scene) -> str | None:
    return None if scene.wrapper else "no setuid program starts scripts here"


def proof(scene: Scene) -> str | None:
    return scene.program_ran()
