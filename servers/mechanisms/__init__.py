"""The server of `dso`, in which each request does one thing more: what modes are made of.

A *mechanism* is a module with a class `Mode` that does it. What it costs is what such a server
takes for a request more than `dso` does, interleaved with it: `harness.trial.beside.mechanisms`.
So it is done in a process of a worker's size, after other processes have had the caches, beside a
worker that serves. They are not offered to users, nor are they modes: they protect nothing.

The folder is the registry.
"""

from __future__ import annotations

import os
import sys

from servers.mode import IsolationMode


def names() -> list[str]:
    """Return the names of all mechanisms, in alphabetical order."""
    return sorted(
        entry.name.removesuffix(".py")
        for entry in os.scandir(os.path.dirname(__file__))
        if not entry.name.startswith("_") and entry.name.endswith(".py")
    )


def load(name: str) -> type[IsolationMode]:
    """Return the class of the mechanism `name`. Raises KeyError for a name that no file has."""
    if name not in names():
        raise KeyError(name)
    module = f"servers.mechanisms.{name}"
    __import__(module)
    mode: type[IsolationMode] = sys.modules[module].Mode
    return mode
