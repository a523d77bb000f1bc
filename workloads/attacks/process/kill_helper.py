"""Kill a process that the mode runs beside its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True
CONTROL = "careless_helper"


def attack(given: Given) -> object:
    import os
    import signal

    os.kill(given.helper, signal.SIGKILL)
    return given.helper


def missing(scene: Scene) -> str | None:
    return None if scene.state_of("helper") else "the mode has no process beside its workers"


def proof(scene: Scene) -> str | None:
    return "the process is dead" if scene.has_ended("helper") else None
