"""Leave a variable in the process's own environment for what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import os

    # os.environ is replaced for each script; what C code and libraries look at is not.
    os.putenv("LEFT", given.token)
    return "left"


def proof(scene: Scene) -> str | None:
    found = scene.next_request(
        "import ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.getenv.restype = ctypes.c_char_p\n"
        "print('Content-Type: text/plain\\n')\n"
        "print(libc.getenv(b'LEFT'))\n"
    ).body
    if scene.token.encode() in found:
        return "the next request found a variable that the first had set"
    return None
