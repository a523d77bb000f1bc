"""Read what the operator types into the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    import os
    import select

    refused: OSError | None = None
    for name in (2, "/dev/tty"):
        try:
            found = name if isinstance(name, int) else os.open(name, os.O_RDWR)
            if select.select([found], [], [], 0.2)[0]:
                return os.read(found, 1000)
        except OSError as error:
            refused = error
    if refused:
        raise refused
    return "nothing to read"


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secrets["typed"], "what the operator typed")
