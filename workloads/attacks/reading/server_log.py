"""Read the server's log through the standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

SHARED = True


def attack(given: Given) -> object:
    with open("/proc/self/fd/2", "rb") as file:
        return file.read()


def missing(scene: Scene) -> str | None:
    scene.visit()  # writes its secret to the log
    return None if scene.secret in scene.log.read_text() else "the log has no secret"


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secret, "what the neighbour's script wrote to the log")
