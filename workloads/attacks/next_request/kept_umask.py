"""Leave a umask for the files of the tenant's next request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import os

    return os.umask(0o135)


def proof(scene: Scene) -> str | None:
    found = scene.next_request(
        "import os\nprint('Content-Type: text/plain\\n')\nprint('umask', oct(os.umask(0o022)))\n"
    ).body
    if b"umask 0o135" in found:
        return "the next request had the umask of the first"
    return None
