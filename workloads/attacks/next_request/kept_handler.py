"""Leave a signal handler that acts in the tenant's next request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import signal

    def answer(*_: object, word: str = given.token) -> None:
        print(word)

    signal.signal(signal.SIGWINCH, answer)
    return "installed"


def proof(scene: Scene) -> str | None:
    found = scene.next_request(
        "import os\nprint('Content-Type: text/plain\\n')\nos.kill(os.getpid(), 28)\nprint('page')\n"
    ).body
    if scene.token.encode() in found:
        return "a signal in the next request was handled by the first"
    return None
