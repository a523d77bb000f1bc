"""Leave the standard error leading into a file of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import os

    copy = os.open(f"{given.drop}/copy", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o666)
    os.dup2(copy, 2)
    return "redirected"


def proof(scene: Scene) -> str | None:
    scene.visit()
    return scene.stolen(scene.secret, "what the neighbour's script wrote to the log")
