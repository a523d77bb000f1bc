"""Falsify what the server counts, in memory that its workers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CVE-2019-0211 and CVE-2012-0031 in Apache's scoreboard, CVE-2021-21703 in php-fpm's"
OF_OURS = True
MAY_BE_ENDED = True


def attack(given: Given) -> object:
    slots = given.reach("Slot")
    if not slots:
        raise given.nothing("no scoreboard is in the script's process")
    for slot in slots:
        for _ in range(1000):
            slot.end()
    return len(slots)


def proof(scene: Scene) -> str | None:
    served = scene.served()
    return f"the server claims to have served {served} requests" if served > 900 else None
