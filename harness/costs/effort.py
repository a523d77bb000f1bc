"""How much is measured, and how long that may take. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Budgets are for one subject in one round; what has begun by then is finished.

    `heaps_mib` must be a handful of sizes far apart, for the lines that are drawn through them, the
    least as good as none (a huge page has 2 MiB);
    `python_heaps_mib` are those whose objects a child walks. `byte_code_of_all`: each CPython is
    launched with imports, their byte code warm and cold; else the tenants' alone. So many
    `tenants` have a permanent worker each, in the first `worker_rounds`, since a server takes long.
    """

    rounds: int
    heaps_mib: tuple[int, ...]
    creation_us: int
    python_heaps_mib: tuple[int, ...]
    launch_us: int
    byte_code_of_all: bool
    tenants: int
    worker_rounds: int

    def to_json(self) -> dict[str, object]:
        """Return what run.json says of it."""
        return {
            "rounds": self.rounds,
            "heaps_mib": list(self.heaps_mib),
            "python_heaps_mib": list(self.python_heaps_mib),
            "tenants": self.tenants,
        }


USUAL = Effort(
    rounds=5,
    heaps_mib=(2, 10, 50, 100, 200, 400),
    creation_us=12_000,
    python_heaps_mib=(0, 20, 100),
    launch_us=30_000,
    byte_code_of_all=True,
    tenants=20,
    worker_rounds=5,
)
QUICK = Effort(
    rounds=3,
    heaps_mib=(2, 20, 200),
    creation_us=5_000,
    python_heaps_mib=(0, 20),
    launch_us=1_000,
    byte_code_of_all=False,
    tenants=4,
    worker_rounds=1,
)
