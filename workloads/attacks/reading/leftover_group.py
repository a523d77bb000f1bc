"""Read a file that only the server's group may read, by a group left over."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-271: groups that stay when the user changes"
SHARED = True


def attack(given: Given) -> object:
    with open(f"{given.site}/group.secret") as file:
        return file.read()


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secrets["group"], "a file of root:www with mode 0040")
