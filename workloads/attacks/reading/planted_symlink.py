"""Read the neighbour's secret through a symbolic link in one's own site."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-61: a symbolic link in a place that another user writes to"
SHARED = True


def attack(given: Given) -> object:
    import os

    link = f"{given.drop}/link"
    os.symlink(f"{given.neighbour}/config.secret", link)
    with open(link) as file:
        return file.read()


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secret, "the neighbour's secret")
