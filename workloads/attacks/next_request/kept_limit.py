"""Leave a resource limit that the tenant's next request runs into."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (57, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def proof(scene: Scene) -> str | None:
    found = scene.next_request(
        "import resource\n"
        "print('Content-Type: text/plain\\n')\n"
        "print('files', resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    ).body
    if b"files 57" in found:
        return "the next request had the limit of the first"
    return None
