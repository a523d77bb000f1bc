"""Leave a key in the session keyring that the next tenant has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True
_LOOK = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
keyctl = 250 if os.uname().machine == "x86_64" else 219
print("Content-Type: text/plain\\n")
for keyring in (-1, -2, -3):
    key = libc.syscall(keyctl, 10, keyring, b"user", b"isobench:left", 0)
    text = ctypes.create_string_buffer(100)
    if key > 0 and libc.syscall(keyctl, 11, key, text, 100) > 0:
        print(text.value.decode())
"""


def attack(given: Given) -> object:
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    add_key = 248 if os.uname().machine == "x86_64" else 217
    session_keyring = -3
    word = given.token.encode()
    key = libc.syscall(add_key, b"user", b"isobench:left", word, len(word), session_keyring)
    if key < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return key


def proof(scene: Scene) -> str | None:
    scene.put("keys.py", _LOOK)
    if scene.token.encode() in scene.visit("keys.py").body:
        return "the neighbour's script finds a key of the attacker's"
    return None
