"""The isolation modes: one file each, or one package, with one class `Mode`.

The folder is the registry.
"""

from __future__ import annotations

import os
import sys

from servers.mode import IsolationMode


def names() -> list[str]:
    """Return the names of all modes, in alphabetical order."""
    return sorted(
        entry.name.removesuffix(".py")
        for entry in os.scandir(os.path.dirname(__file__))
        if not entry.name.startswith("_") and (entry.is_dir() or entry.name.endswith(".py"))
    )


def load(name: str) -> type[IsolationMode]:
    """Return the class of the mode `name`. Raises KeyError for a name that no file has."""
    if name not in names():
        raise KeyError(name)
    module = f"servers.modes.{name}"
    __import__(module)
    mode: type[IsolationMode] = sys.modules[module].Mode
    return mode
