"""Never end, and refuse to be interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

MAY_BE_ENDED = True
TIMED = True
CONTROL = "careless_time"


def attack(given: Given) -> object:
    import time

    deadline = time.monotonic() + 3 * given.limit
    while time.monotonic() < deadline:
        try:
            while time.monotonic() < deadline:
                time.sleep(0.001)  # what others need is not taken from them
        except BaseException:
            continue
    open(f"{given.drop}/still_here", "w").close()
    return "over"


def proof(scene: Scene) -> str | None:
    if (scene.drop / "still_here").exists():
        return "the script ran three times as long as it may"
    if scene.visit().status != 200:
        return "nobody is served after it"
    return None
