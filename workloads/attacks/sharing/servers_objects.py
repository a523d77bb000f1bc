"""Find other tenants' requests in the objects of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


OF_OURS = True


def attack(given: Given) -> object:
    import os

    kept = []
    for sites in given.reach("Sites"):
        for name in list(vars(sites)):
            kept.append(repr(vars(sites)[name]))
    for request in given.reach("Request"):
        kept.append(repr(getattr(request, "headers", "")))
    for script in given.reach("Script"):
        kept.append(os.fsdecode(script.path))
    if not kept:
        raise given.nothing("no object of the server's is in the script's process")
    return "\n".join(kept)


def missing(scene: Scene) -> str | None:
    return None if scene.visit().status == 200 else "the neighbour was not served before"


def proof(scene: Scene) -> str | None:
    return scene.brought_back(
        f"t0002/witness{scene.suffix}", "the path of a script that the neighbour serves"
    )
