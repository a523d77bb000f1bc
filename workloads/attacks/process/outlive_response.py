"""Keep a process running after the response."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import os
    import time

    process = os.fork()
    if process == 0:
        try:
            os.setsid()
            for number in (0, 1, 2):
                os.close(number)
            os.closerange(3, 256)
            time.sleep(0.5)
            os.close(os.open(f"{given.drop}/still_here", os.O_CREAT | os.O_WRONLY, 0o644))
        finally:
            os._exit(0)
    return process


def proof(scene: Scene) -> str | None:
    if scene.wait_for(1.0, "still_here"):
        return "a process of the script's wrote a file half a second after the answer"
    return None
