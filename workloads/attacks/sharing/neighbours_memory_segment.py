"""Attach to shared memory of the neighbour's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

SHARED = True
CONTROL = "dso"

_SEGMENT = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
number = libc.shmget(@key@, 4096, 0o1600)
place = libc.shmat(number, None, 0)
word = open("config.secret", "rb").read()[:200]
if number >= 0 and place != 2**64 - 1:
    ctypes.memmove(place, word, len(word))
print("Content-Type: text/plain\\n\\nmade")
"""


def missing(scene: Scene) -> str | None:
    scene.put("segment.py", _SEGMENT.replace("@key@", str(int(scene.token[:7], 16))))
    return None if b"made" in scene.visit("segment.py").body else "the neighbour has no memory"


def attack(given: Given) -> object:
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    number = libc.shmget(int(given.token[:7], 16), 0, 0)
    place = libc.shmat(number, None, 0o10000) if number >= 0 else 2**64 - 1
    if place == 2**64 - 1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return ctypes.string_at(place, 200)


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secret, "the neighbour's secret")
