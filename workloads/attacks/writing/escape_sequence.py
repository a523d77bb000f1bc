"""Send an escape sequence to the operator's terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CVE-2003-0020: Apache wrote escape sequences into its log"
ONE_STEP = True


def attack(given: Given) -> object:
    import os

    sequence = f"\x1b]0;{given.token}\x07".encode()
    with open("/dev/tty", "wb", buffering=0) as terminal:
        terminal.write(sequence)
    return os.ttyname(2) if os.isatty(2) else "written"


def proof(scene: Scene) -> str | None:
    if f"\x1b]0;{scene.token}".encode() in scene.terminal.shown():
        return "the operator's terminal has a title of the script's"
    return None
