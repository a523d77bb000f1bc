"""Write on the client's connection, past the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    import os

    number = given.sockets(listening=False)[0]
    os.write(number, b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + given.token.encode())
    return f"written at descriptor {number}"


def proof(scene: Scene) -> str | None:
    if scene.token.encode() in scene.replies()[0].raw:
        return "the client got bytes that the server has never seen"
    return None
