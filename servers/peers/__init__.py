"""The real products: one file each, with one class `Product`.

The folder is the registry: `apache_php.py` is the peer `apache-php`. Files whose names begin with
an underscore hold what several products share.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from servers.peer import Peer


def names() -> list[str]:
    """Return the names of all peers, in alphabetical order."""
    files = Path(__file__).parent.glob("[!_]*.py")
    return sorted(path.stem.replace("_", "-") for path in files)


def load(name: str) -> type[Peer]:
    """Return the class of the peer `name`. Raises KeyError for a name that no file has."""
    if name not in names():
        raise KeyError(name)
    module = importlib.import_module(f"servers.peers.{name.replace('-', '_')}")
    product: type[Peer] = module.Product
    return product
