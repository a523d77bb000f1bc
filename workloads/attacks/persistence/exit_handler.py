"""Leave an exit handler that runs as whoever the process has become by then."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_rest"


def attack(given: Given) -> object:
    import atexit
    import os

    path, create, flags = f"{given.drop}/at_the_end", os.open, os.O_CREAT | os.O_WRONLY

    def leave() -> None:
        create(path, flags, 0o644)

    atexit.register(leave)
    return "registered"


def proof(scene: Scene) -> str | None:
    scene.visit()
    return scene.gained_identity()
