"""Read the environment of the neighbour's process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

NEIGHBOUR_AT_WORK = True
SHARED = True
CONTROL = "cgi"


def attack(given: Given) -> object:
    with open(f"/proc/{given.victim}/environ", "rb") as file:
        return file.read()


def missing(scene: Scene) -> str | None:
    with open(f"/proc/{scene.pid_of('victim')}/environ", "rb") as file:
        if scene.secrets["request"].encode() in file.read():
            return None
    return "the neighbour's process has nothing of the request in its environment"


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secrets["request"], "a header of the neighbour's request")
