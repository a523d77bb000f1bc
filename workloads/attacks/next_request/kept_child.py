"""Leave a child that becomes the next request's to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import os
    import signal
    import time

    child = os.fork()
    if child == 0:
        os.closerange(0, 64)
        signal.alarm(10)
        time.sleep(5)
        os._exit(0)
    return child


def proof(scene: Scene) -> str | None:
    found = scene.next_request(
        "import os\n"
        "print('Content-Type: text/plain\\n')\n"
        "try:\n"
        "    print('child', os.waitpid(-1, os.WNOHANG))\n"
        "except ChildProcessError:\n"
        "    print('none')\n"
    ).body
    if b"child (0, 0)" in found:
        return "the next request is the parent of a process that the first left"
    return None
