"""Leave a resource limit that the next tenant runs into."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (61, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def proof(scene: Scene) -> str | None:
    if b'"files": 61,' in scene.visit().body:
        return "the neighbour's script may open 61 files"
    return None
