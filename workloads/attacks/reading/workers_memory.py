"""Read the memory of the worker that serves the neighbour."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

NEIGHBOUR_AT_WORK = True
SHARED = True


def attack(given: Given) -> object:
    return given.search(given.sibling, rb"[0-9a-f]{24}")


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secrets["request"], "a header of the neighbour's request")
