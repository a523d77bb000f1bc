"""Open more files than a site can need."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-770: no limit on what one user takes"
MAY_BE_ENDED = True


def attack(given: Given) -> object:
    import os
    import resource
    import time

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4000
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 5000), hard))
    opened = []
    try:
        for _ in range(wanted):
            opened.append(os.open("/dev/null", os.O_RDONLY))
        open(f"{given.drop}/opened", "w").close()
        deadline = time.monotonic() + 8
        while not os.path.exists(f"{given.drop}/counted") and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return len(opened)


def meanwhile(scene: Scene) -> str | None:
    if not (scene.drop / "opened").exists():
        return None
    most = max((scene.descriptors(pid) for pid in scene.processes()), default=0)
    if most < 4000:
        return None
    (scene.drop / "counted").touch()
    return f"one process with {most} descriptors"


def proof(scene: Scene) -> str | None:
    scene.must_have_looked("opened", "counted")
    return None
