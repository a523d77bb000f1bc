"""Read the memory of the neighbour's process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

NEIGHBOUR_AT_WORK = True
SHARED = True


def attack(given: Given) -> object:
    return given.search(given.victim, rb"secret of t0002: [0-9a-f]+")


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secret, "a secret in the neighbour's memory")
