"""Switch the guard off by walking up the stack to its keeper."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_guard"


def attack(given: Given) -> object:
    given.must_be_guarded()
    for variables in given.frames():
        for value in variables.values():
            for inner in getattr(value, "__dict__", {}).values():
                if type(inner).__name__ == "LanguageGuard":
                    inner.leave()
    with open(f"{given.neighbour}/config.secret") as file:
        return file.read()


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secret, "the neighbour's secret")
