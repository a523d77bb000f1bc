"""Leave the process in another directory for the tenant's next request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_rest"


def attack(given: Given) -> object:
    import os

    os.chdir(given.drop)
    return os.getcwd()


def proof(scene: Scene) -> str | None:
    found = scene.next_request(
        "import os\nprint('Content-Type: text/plain\\n')\nprint(os.getcwd())\n"
    ).body
    if str(scene.drop).encode() in found:
        return "the next request ran in the directory that the first chose"
    return None
