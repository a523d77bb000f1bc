"""The isolation modes: one file each, with one class `Mode`. The folder is the registry."""

from __future__ import annotations

import importlib
from pathlib import Path

from servers.mode import IsolationMode


def names() -> list[str]:
    """Return the names of all modes, in alphabetical order."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(file.stem for file in files if not file.stem.startswith("_"))


def load(name: str) -> type[IsolationMode]:
    """Return the class of the mode `name`. Raises KeyError for a name that no file has."""
    if name not in names():
        raise KeyError(name)
    mode: type[IsolationMode] = importlib.import_module(f"servers.modes.{name}").Mode
    return mode
