"""Become root by setuid(0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True

# glibc ends a process whose threads do not agree on their credentials (nptl_setxid.c).
MAY_BE_ENDED = True


def attack(given: Given) -> object:
    import os

    os.setuid(0)
    with open(f"{given.drop}/setuid_root", "w") as file:
        file.write(given.token)
    return os.getresuid()


def proof(scene: Scene) -> str | None:
    return scene.gained_identity()
