"""Leave another recursion limit in the interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import sys

    sys.setrecursionlimit(sys.getrecursionlimit() + 77)
    return sys.getrecursionlimit()


def proof(scene: Scene) -> str | None:
    if b'"recursion": 1077' in scene.visit().body:
        return "the neighbour's script has the attacker's recursion limit"
    return None
