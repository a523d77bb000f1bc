"""Occupy every worker, and refuse to be interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

HANDS = 2
MAY_BE_ENDED = True
TIMED = True
CONTROL = "careless_time"


def attack(given: Given) -> object:
    import time

    open(f"{given.drop}/began-{given.hand}", "w").close()
    deadline = time.monotonic() + 5 * given.limit
    while time.monotonic() < deadline:
        try:
            time.sleep(1)
        except BaseException:
            continue
    return "over"


def meanwhile(scene: Scene) -> str | None:
    if len(list(scene.drop.glob("began-*"))) < HANDS:
        return None
    return scene.outage()


def proof(scene: Scene) -> str | None:
    return scene.outage()
