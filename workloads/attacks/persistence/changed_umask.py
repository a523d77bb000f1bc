"""Leave a umask that lets everybody write to the next tenant's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import os

    return os.umask(0)


def proof(scene: Scene) -> str | None:
    found = scene.visit().body
    return "the neighbour's script has the umask 0" if b'"umask": 0,' in found else None
