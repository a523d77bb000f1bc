"""Wait for the worker's next connection, and answer it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True

# glibc ends a process whose threads do not agree on their credentials (nptl_setxid.c).
MAY_BE_ENDED = True


def attack(given: Given) -> object:
    import os
    import threading
    import time

    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 16\r\n\r\n"
    answer += given.token.encode()

    def connections() -> dict[int, int]:
        # A socket's inode tells it from the next one of the same number.
        return {os.fstat(number).st_ino: number for number in given.sockets(listening=False)}

    before = connections()

    def wait() -> None:
        deadline = time.monotonic() + 9
        while time.monotonic() < deadline:
            try:
                now = connections()
                new = [number for inode, number in now.items() if inode not in before]
                if new:
                    os.write(new[0], answer)
                    return
            except OSError:  # there is no connection at all
                pass
            time.sleep(0.001)

    threading.Thread(target=wait, daemon=True).start()
    return "waiting"


def proof(scene: Scene) -> str | None:
    scene.put(
        "slow.py",
        "import time\ntime.sleep(0.2)\nprint('Content-Type: text/plain\\n\\nslow')\n",
    )
    for _ in range(2):
        if scene.token.encode() in scene.visit("slow.py").raw:
            return "the neighbour's visitor was answered by the attacker"
    return None
