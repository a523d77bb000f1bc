"""Read the command line of the neighbour's process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

NEIGHBOUR_AT_WORK = True
SHARED = True
CONTROL = "cgi"


def attack(given: Given) -> object:
    with open(f"/proc/{given.victim}/cmdline", "rb") as file:
        return file.read()


def missing(scene: Scene) -> str | None:
    with open(f"/proc/{scene.pid_of('victim')}/cmdline", "rb") as file:
        if scene.secrets["listing"].encode() in file.read():
            return None
    return "the neighbour's process has nothing of the request in its command line"


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secrets["listing"], "the name of the neighbour's script")
