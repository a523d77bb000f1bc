"""Start more processes than a site can need."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-770: no limit on what one user takes"
MAY_BE_ENDED = True


def attack(given: Given) -> object:
    import os
    import signal
    import time

    children = []
    try:
        for _ in range(150):
            process = os.fork()
            if process == 0:
                time.sleep(9)
                os._exit(0)
            children.append(process)
        open(f"{given.drop}/forked", "w").close()
        deadline = time.monotonic() + 8
        while not os.path.exists(f"{given.drop}/counted") and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        for process in children:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
    return len(children)


def meanwhile(scene: Scene) -> str | None:
    if not (scene.drop / "forked").exists():
        return None
    count = len(scene.processes())
    if count <= 150:
        return None
    (scene.drop / "counted").touch()
    return f"{count} processes at once"


def proof(scene: Scene) -> str | None:
    scene.must_have_looked("forked", "counted")
    return None
