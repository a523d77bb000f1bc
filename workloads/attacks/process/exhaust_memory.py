"""Take more memory than a site can need."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import mmap
    import os
    import time

    # 768 MiB are asked for, and every 16th page used: it is the promise that a limit refuses.
    size = 768 << 20
    with mmap.mmap(-1, size) as memory:
        for place in range(0, size, 16 * mmap.PAGESIZE):
            memory[place] = 1
        open(f"{given.drop}/taken", "w").close()
        deadline = time.monotonic() + 1.5
        while not os.path.exists(f"{given.drop}/counted") and time.monotonic() < deadline:
            time.sleep(0.01)
    return size


def meanwhile(scene: Scene) -> str | None:
    if not (scene.drop / "taken").exists():
        return None
    most = max(int(scene.status_of(pid)["VmSize"].split()[0]) for pid in scene.processes()) >> 10
    (scene.drop / "counted").touch()
    return f"one process with {most} MiB of address space" if most >= 768 else None


def proof(scene: Scene) -> str | None:
    return None
