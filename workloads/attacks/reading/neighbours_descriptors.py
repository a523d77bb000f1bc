"""Open again what the neighbour's process has open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

NEIGHBOUR_AT_WORK = True
SHARED = True


def attack(given: Given) -> object:
    import os

    found = []
    for number in os.listdir(f"/proc/{given.victim}/fd"):
        try:
            descriptor = os.open(f"/proc/{given.victim}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            found.append(os.pread(descriptor, 4096, 0))
        except OSError:
            pass
        finally:
            os.close(descriptor)
    return b"\n".join(found)


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secret, "a file that the neighbour has open")
