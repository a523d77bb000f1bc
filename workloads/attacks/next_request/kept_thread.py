"""Leave a thread running beside the tenant's next request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

# Modes whose threads have credentials of their own end the process (nptl_setxid.c).
MAY_BE_ENDED = True


def attack(given: Given) -> object:
    import threading
    import time

    threading.Thread(target=time.sleep, args=(5,), name=given.token, daemon=True).start()
    return "running"


def proof(scene: Scene) -> str | None:
    found = scene.next_request(
        "import threading\n"
        "print('Content-Type: text/plain\\n')\n"
        "print([thread.name for thread in threading.enumerate()])\n"
    ).body
    if scene.token.encode() in found:
        return "the next request runs beside a thread of the first"
    return None
