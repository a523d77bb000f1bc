"""Kill the process in which the neighbour's script runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True
NEIGHBOUR_AT_WORK = True


def attack(given: Given) -> object:
    import os
    import signal

    os.kill(given.victim, signal.SIGKILL)
    return given.victim


def proof(scene: Scene) -> str | None:
    if not scene.has_ended("victim"):
        return None
    answer = scene.released().status or "no answer"
    return f"the process is dead, and the neighbour's visitor got {answer}"
