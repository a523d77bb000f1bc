"""Split one response into two by a line break in a header."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-113: line breaks in a header"
MAY_BE_ENDED = True
CONTROL = "careless_output"


def attack(given: Given) -> object:
    import sys

    # A carriage return alone: some clients and proxies take it for the end of a line.
    print(f"Content-Type: text/plain\nX-Split: a\rX-Injected: {given.token}\n\nsplit")
    sys.stdout.flush()
    raise SystemExit


def proof(scene: Scene) -> str | None:
    head = scene.replies()[0].raw.partition(b"\r\n\r\n")[0]
    if b"\rX-Injected: " + scene.token.encode() in head:
        return "the head of the answer holds a bare carriage return and what follows it"
    return None
