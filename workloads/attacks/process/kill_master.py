"""Kill the server's first process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    import os
    import signal

    os.kill(given.master, signal.SIGKILL)
    os.kill(given.master, signal.SIGTERM)
    return given.master


def proof(scene: Scene) -> str | None:
    return "the server is gone" if scene.has_ended("master") else None
