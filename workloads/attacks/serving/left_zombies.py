"""Leave zombies that nobody reaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_oversight"
COUNT = 40
CLONE_PARENT = 0x00008000
SIGCHLD = 17
SYS_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}


def attack(given: Given) -> object:
    import ctypes
    import os
    import platform

    libc = ctypes.CDLL(None, use_errno=True)
    ended, alive = os.pipe()
    number = SYS_CLONE.get(platform.machine(), -1)
    for _ in range(COUNT):
        if libc.syscall(number, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) == 0:
            os._exit(0)
        if os.fork() == 0:
            os._exit(0)
    os.close(alive)
    os.read(ended, 1)  # nothing, as soon as the last of them has ended
    os.close(ended)
    return COUNT


def proof(scene: Scene) -> str | None:
    import time

    deadline = time.monotonic() + 5
    looks: list[bool] = []
    # Twice, since one that has just ended may be no zombie yet.
    while looks[-2:] != [False, False] and time.monotonic() < deadline:
        scene.visit()
        time.sleep(0.1)
        zombies = _zombies(scene)
        looks.append(zombies >= COUNT)
    return f"{zombies} zombies" if looks[-1] else None


def _zombies(scene: Scene) -> int:
    import os

    servers_own = {str(pid) for pid in scene.processes()}  # among which zombies are not
    found = [scene.status_of(int(name)) for name in os.listdir("/proc") if name.isdigit()]
    zombies = [one for one in found if one.get("State", "").startswith("Z")]
    return sum(one["PPid"] in servers_own for one in zombies)
