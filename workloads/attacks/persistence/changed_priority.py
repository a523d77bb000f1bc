"""Leave a nice value that slows the next tenant down."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import os

    return os.nice(5)


def proof(scene: Scene) -> str | None:
    if b'"nice": 5,' in scene.visit().body:
        return "the neighbour's script has the nice value 5"
    return None
