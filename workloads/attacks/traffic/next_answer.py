"""Answer the next request on a connection that stays open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    import os

    number = given.sockets(listening=False)[0]
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n"
    os.write(number, answer + b"the first answer" + answer + given.token.encode())
    return f"written at descriptor {number}"


def proof(scene: Scene) -> str | None:
    _, second = scene.on_one_connection("next_answer")
    if second.raw.startswith(b"HTTP/1.1 200") and scene.token.encode() in second.body[:16]:
        return "who asked for the neighbour on the same connection got the attacker's answer"
    return None
