"""Stop the worker that serves the neighbour."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True
NEIGHBOUR_AT_WORK = True


def attack(given: Given) -> object:
    import os
    import signal

    os.kill(given.sibling, signal.SIGSTOP)
    return given.sibling


def proof(scene: Scene) -> str | None:
    state = scene.state_of("sibling")
    return f"the worker is stopped (state {state})" if state == "T" else None
