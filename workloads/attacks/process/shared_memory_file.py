"""Leave a file in the host's shared memory, for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    name = f"/dev/shm/isobench-{given.token}"
    with open(name, "w") as file:
        file.write("left")
    return name


def proof(scene: Scene) -> str | None:
    from pathlib import Path

    left = scene.on_host(Path(f"/dev/shm/isobench-{scene.token}"))
    if not left.exists():
        return None
    left.unlink()
    return "the host has a file in /dev/shm that nothing ends"
