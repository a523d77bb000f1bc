"""Kill the worker that serves oneself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True
MAY_BE_ENDED = True


def attack(given: Given) -> object:
    import os
    import signal

    # Whatever is left of an answer is the script's own; what counts is the worker.
    for process in (os.getppid(), os.getpid()):
        if process > 1:
            os.kill(process, signal.SIGKILL)
    return "killed"


def proof(scene: Scene) -> str | None:
    return "the worker is dead, and had to be replaced" if scene.has_ended("worker") else None
