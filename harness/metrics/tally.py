"""Reads the file in which a server counts its requests.

`servers.front.shared_memory.tally` writes it.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

_NO_NUMBER: Final = -1


class TallyReader:
    """The mapped file of a running server, whose `layout` the server tells when it is ready."""

    def __init__(self, path: Path, layout: Mapping[str, Any]) -> None:
        """Map the file; it is found by its name now, and not later. Raises OSError."""
        with open(path, "rb") as file:
            memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self._words: Counts = np.frombuffer(memory, dtype=np.int64)
        self._names: list[str] = layout["head"]
        first, cells = layout["head_words"], len(layout["sites"]) + 1
        self._rows = self._words[first:].reshape(-1, cells, layout["cell"])

    def head(self) -> dict[str, int]:
        """Return the numbers of the whole server that there are, by name."""
        pairs = zip(self._names, self._words[: len(self._names)].tolist(), strict=True)
        return {name: number for name, number in pairs if number != _NO_NUMBER}

    def counts(self) -> Counts:
        """Return what all processes have counted: a row for each site, the last one for no site.

        Its columns are those of a cell: classes of statuses, a sum in ns, buckets.
        """
        total: Counts = self._rows.sum(axis=0)
        return total
