"""The kinds of noise. Pure.

Each is bounded, so that the host is in no danger: a script ends by itself after a tenth of a second
or so, takes at most 96 MiB of memory, 40 MiB of disk or 40 processes, and is requested over a fixed
number of connections until the window ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import workloads
from harness.errors import IsobenchError

FOLDER: Final = Path(workloads.__path__[0]) / "noise"
"""Where the templates of the noisy tenant's scripts are."""

ALONE: Final = "alone"
"""What stands for no noise."""

HELLO: Final = "hello.py"


@dataclass(frozen=True)
class Noise:
    """One kind: its script is requested over `connections` of them, again and again.

    `per_worker` says that there are so many connections for each worker. `slow` ones send a byte
    now and then, so that their request never ends. `limited_by` names what can limit it:
    `cgroup`, `rlimits`.
    """

    name: str
    title: str
    script: str
    connections: int
    per_worker: bool = False
    slow: bool = False
    limited_by: tuple[str, ...] = ()

    def connections_to(self, workers: int) -> int:
        """Return how many connections it holds to a server of so many workers."""
        return self.connections * (workers if self.per_worker else 1)

    @property
    def source(self) -> Path | None:
        """The template of its script; None where that is a usual one."""
        return None if self.script == HELLO else FOLDER / self.script


EVERY: Final = (
    Noise(
        "flood", "requests as fast as they are answered", HELLO, 4,
        per_worker=True, limited_by=("cgroup",),
    ),
    Noise("cpu", "two scripts compute", "burn_cpu.py", 2, limited_by=("cgroup",)),
    Noise(
        "memory", "a script takes 96 MiB", "eat_memory.py", 1, limited_by=("cgroup", "rlimits")
    ),
    Noise(
        "forks", "a script forks 40 children", "fork_children.py", 1,
        limited_by=("cgroup", "rlimits"),
    ),
    Noise("disk", "a script writes 40 MiB", "fill_disk.py", 1, limited_by=("rlimits",)),
    Noise("slow", "requests that never end", HELLO, 4, per_worker=True, slow=True),
)  # fmt: skip


def choose(names: Sequence[str]) -> tuple[Noise, ...]:
    """Return the noises of these names, all for none. Raises IsobenchError."""
    known = {noise.name: noise for noise in EVERY}
    for name in names:
        if name not in known:
            near = get_close_matches(name.lower(), known, n=1)
            raise IsobenchError(
                f"unknown noise {name!r}",
                hint=f"did you mean {near[0]}?" if near else f"known noises: {', '.join(known)}",
            )
    return tuple(known[name] for name in names) or EVERY
