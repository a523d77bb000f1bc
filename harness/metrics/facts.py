"""What an exporter is told when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Facts:
    """Whose numbers, where they are, where to answer, and as whom.

    `file` and `layout` are those of the server's tally; `served_at` is where the server listens,
    `network` that of tenants' own addresses, where they have any. `seats` is how many tenants have
    series of their own; `identity` is a uid and a gid, None to stay who it is.
    """

    file: str
    layout: Mapping[str, Any]
    mode: str
    version: str
    served_at: tuple[str, int]
    network: str | None
    host: str
    port: int
    seats: int
    identity: tuple[int, int] | None
