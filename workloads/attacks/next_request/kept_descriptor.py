"""Leave a descriptor open, from which the tenant's next request reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import os

    file = os.memfd_create("left")
    os.write(file, given.token.encode())
    os.dup2(file, 99)
    return "open"


def proof(scene: Scene) -> str | None:
    found = scene.next_request(
        "import os\n"
        "print('Content-Type: text/plain\\n')\n"
        "try:\n"
        "    print(os.pread(99, 100, 0))\n"
        "except OSError:\n"
        "    print('closed')\n"
    ).body
    if scene.token.encode() in found:
        return "the next request read from a descriptor that the first left open"
    return None
