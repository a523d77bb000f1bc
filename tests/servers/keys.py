"""Keys (keyctl(2)): put into a session keyring, and looked for by scripts."""

import ctypes
import os

import pytest

SESSION, PROCESS, USER = -3, -2, -4
NUMBERS = {"x86_64": (248, 250)}.get(os.uname().machine, (217, 219))
"""Of add_key and keyctl."""

_libc = ctypes.CDLL(None, use_errno=True)


def _may_be_had() -> bool:
    get_keyring_id = 0
    return int(_libc.syscall(NUMBERS[1], get_keyring_id, SESSION, 0)) > 0


needs_keys = pytest.mark.skipif(not _may_be_had(), reason="this kernel lets nobody have keys")

_IN_SCRIPT = f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
ADD_KEY, KEYCTL = {NUMBERS}
def failure():
    return os.strerror(ctypes.get_errno())
"""

LOOK_FOR = (
    _IN_SCRIPT
    + """
def found(keyring):
    key = libc.syscall(KEYCTL, 10, keyring, b"user", b"{name}", 0)
    if key < 0:
        return None
    text = ctypes.create_string_buffer(100)
    length = libc.syscall(KEYCTL, 11, key, text, 100)
    return text.raw[:length].decode() if length >= 0 else "unreadable"
print(next((text for at in (-1, -2, -3, -4, -5) if (text := found(at))), "no key"))
"""
)
"""A script that prints what a key holds, or that there is none."""

LEAVE = (
    _IN_SCRIPT
    + """
key = libc.syscall(ADD_KEY, b"user", b"{name}", b"{text}", {length}, {keyring})
print("left" if key > 0 else failure())
"""
)
"""A script that puts a key into a keyring, and prints that it has, or why not."""


def leave(name: str, text: str, keyring: int = SESSION) -> str:
    return LEAVE.format(name=name, text=text, length=len(text), keyring=keyring)


def plant(name: str, text: str) -> None:
    """Put the calling process into a new session keyring with a key in it, for its children."""
    join_session_keyring = 1
    assert _libc.syscall(NUMBERS[1], join_session_keyring, None) > 0
    key = _libc.syscall(
        NUMBERS[0], b"user", name.encode(), text.encode(), ctypes.c_size_t(len(text)), SESSION
    )
    assert key > 0
