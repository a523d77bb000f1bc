"""Kill the worker that serves the neighbour."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True
NEIGHBOUR_AT_WORK = True


def attack(given: Given) -> object:
    import os
    import signal

    os.kill(given.sibling, signal.SIGKILL)
    return given.sibling


def proof(scene: Scene) -> str | None:
    if not scene.has_ended("sibling"):
        return None
    answer = scene.released().status or "no answer"
    return f"the worker is dead, and the neighbour's visitor got {answer}"
