"""Claim another's identity in the line by which load generators check it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

SHARED = True


def attack(given: Given) -> object:
    uid = given.neighbour_uid
    return f"isobench tenant=t0002 uid={uid} gid={uid} groups="


def proof(scene: Scene) -> str | None:
    line = f"isobench tenant=t0002 uid={scene.neighbour_uid}"
    if line.encode() in scene.replies()[0].body:
        return "the answer claims to be the neighbour's: the line is only as honest as the script"
    return None
