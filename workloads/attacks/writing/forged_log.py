"""Write lines to the server's log that look like its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-117: line breaks in what is logged"
ONE_STEP = True


def attack(given: Given) -> object:
    import os

    os.write(2, f"[master] {given.token}\n".encode())
    return "written"


def proof(scene: Scene) -> str | None:
    if f"[master] {scene.token}" in scene.log.read_text():
        return "the log has a line that the master seems to have written"
    return None
