"""List the neighbour's directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

SHARED = True


def attack(given: Given) -> object:
    import os

    return os.listdir(given.neighbour)


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secrets["listing"], "the name of a file of the neighbour's")
