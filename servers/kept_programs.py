"""Programs and libraries in C that a server has compiled, kept for the servers after it."""

from __future__ import annotations

import _imp
import os

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_OTHERS_WRITE: Final = 0o022


def place(folder: str, stem: str, sources: Sequence[str], flags: Sequence[str]) -> str:
    """Return where in a folder a program is kept: its name goes by what it is made of."""
    made_of = [os.fsencode(f"{os.uname().machine} {tuple(flags)}")]
    for path in sources:
        with open(path, "rb") as file:
            made_of.append(file.read())
    return os.path.join(folder, f"{stem}-{_imp.source_hash(0, b''.join(made_of)).hex()}")


def opened(path: str) -> int | None:
    """Return a descriptor of a program that is kept; None without one that only we can write."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    state = os.fstat(descriptor)
    if state.st_uid in (0, os.geteuid()) and not state.st_mode & _OTHERS_WRITE:
        return descriptor
    os.close(descriptor)
    return None
