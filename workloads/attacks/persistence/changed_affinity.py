"""Leave one processor to the next tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    import os

    processors = os.sched_getaffinity(0)
    if len(processors) < 2:
        raise given.nothing("there is but one processor")
    os.sched_setaffinity(0, {min(processors)})
    return len(processors)


def proof(scene: Scene) -> str | None:
    if b'"processors": 1}' in scene.visit().body:
        return "the neighbour's script may use one processor"
    return None
