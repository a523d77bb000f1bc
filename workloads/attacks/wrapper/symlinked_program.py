"""Name a symbolic link to a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Scene

SHARED = True
CONTROL = "careless_wrapper"


def instead(scene: Scene) -> str:
    scene.plant_program(scene.site, "behind.py")
    (scene.site / "program.py").unlink(missing_ok=True)
    (scene.site / "program.py").symlink_to("behind.py")
    return scene.call_wrapper("program.py")


def missing(scene: Scene) -> str | None:
    return None if scene.wrapper else "no setuid program starts scripts here"


def proof(scene: Scene) -> str | None:
    return scene.program_ran()
