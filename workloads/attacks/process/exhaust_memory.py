"""Take more memory than a site can need."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-770: no limit on what one user takes"
MAY_BE_ENDED = True


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
        deadline = time.monotonic() + 8
        while not os.path.exists(f"{given.drop}/counted") and time.monotonic() < deadline:
            time.sleep(0.01)
    return size


def meanwhile(scene: Scene) -> str | None:
    if not (scene.drop / "taken").exists():
        return None
    # What has ended, or waits to be buried, has no memory.
    sizes = (scene.status_of(pid).get("VmSize", "0 kB") for pid in scene.processes())
    most = max((int(size.split()[0]) for size in sizes), default=0) >> 10
    if most < 768:
        return None
    (scene.drop / "counted").touch()
    return f"one process with {most} MiB of address space"


def proof(scene: Scene) -> str | None:
    scene.must_have_looked("taken", "counted")
    return None
