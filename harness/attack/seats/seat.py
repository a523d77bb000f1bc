"""Where the servers of scenes run: a directory, a cgroup, three ids, and who starts them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.attack.seats.operator import Operator
from harness.host.cgroup import ProcessGroup
from workloads.proof import Identity

IDS_OF_A_SEAT = 3
"""www, the attacker and the neighbour."""


@dataclass(frozen=True)
class Seat:
    """Where servers of scenes run, one after the other; no two seats share what a script can reach.

    In `programs`, which is root's alone, servers keep what they compile; None: nowhere.
    """

    directory: Path
    processes: ProcessGroup
    first_uid: int
    operator: Operator
    programs: Path | None = None

    @property
    def www(self) -> Identity:
        """The server's own identity."""
        return Identity(self.first_uid, self.first_uid)
