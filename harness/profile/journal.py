"""Reads the journal in which a server stamps its requests.

`servers.profiling.journal` writes it.
"""

from __future__ import annotations

import mmap
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, Self

from harness.errors import IsobenchError
from harness.host.polling import wait_until

PATIENCE_S: Final = 5.0
_EVERY_S: Final = 0.00005  # a request may take no longer than 0.1 ms


class Incomplete(IsobenchError):
    """A server did not stamp what its mode's course promises."""


class JournalReader:
    """A context around the mapped journal of a running server, whose `layout` the server tells."""

    def __init__(self, path: Path, layout: Mapping[str, Any]) -> None:
        self._path = path
        self._points: list[str] = layout["points"]

    def __enter__(self) -> Self:
        with open(self._path, "rb") as file:
            self._memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self._cells = memoryview(self._memory).cast("q")
        return self

    def __exit__(self, *_: object) -> None:
        self._cells.release()
        self._memory.close()

    def record(self, last_points: Collection[str], began: int) -> dict[str, int]:
        """Return the points that were passed since `began`, with their times, once these have been.

        Times are nanoseconds on CLOCK_MONOTONIC. Raises Incomplete when they do not come.
        """
        wanted = set(last_points)
        record = wait_until(
            lambda: self._since(began),
            PATIENCE_S,
            enough=lambda record: wanted <= record.keys(),
            every_s=_EVERY_S,
        )
        if missing := wanted - record.keys():
            raise Incomplete(
                f"the server never reached the points {', '.join(sorted(missing))}",
                hint="check that the mode's timeline matches its code (docs/profiling.md)",
            )
        return record

    def _since(self, began: int) -> dict[str, int]:
        pairs = zip(self._points, self._cells, strict=True)
        return {point: at for point, at in pairs if at >= began}
