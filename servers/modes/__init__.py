"""The isolation modes: one file each, with one class `Mode`. The folder is the registry."""

from __future__ import annotations

import os
import sys

from servers.mode import IsolationMode


def names() -> list[str]:
    """Return the names of all modes, in alphabetical order."""
    files = os.listdir(os.path.dirname(__file__))
    stems = [file.removesuffix(".py") for file in files if file.endswith(".py")]
    return sorted(stem for stem in stems if not stem.startswith("_"))


def load(name: str) -> type[IsolationMode]:
    """Return the class of the mode `name`. Raises KeyError for a name that no file has."""
    if name not in names():
        raise KeyError(name)
    module = f"servers.modes.{name}"
    __import__(module)
    mode: type[IsolationMode] = sys.modules[module].Mode
    return mode
