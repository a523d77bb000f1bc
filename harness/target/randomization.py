"""What has nothing to do with a target but may decide how fast it is: varied, not ignored. Pure.

Strategy: the size of the environment moves a process's stack, the hash seed its dictionaries, and
either can be worth more than the effect under study (Mytkowicz et al. 2009; Kalibera and Jones
2013). No one value is right, so each block draws its own from the run's seed: what it does to
all targets alike cancels in the block's ratios, and what it does to one of them is part of the
scatter between blocks, hence of the interval. The port is drawn for each trial, since connections
of the trial before may linger at the same port. Address space randomisation stays on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

PADDING = "ISOBENCH_PADDING"
_MOST_PADDING = 4096  # the range in which Mytkowicz et al. saw the effect of size come round
_MOST_HASH_SEED = 2**32 - 1  # PYTHONHASHSEED
# Below what Linux hands out to clients (ip_local_port_range: 32768 to 60999), above what is usual.
_PORTS = range(10_000, 32_000)

Item = TypeVar("Item")


@dataclass(frozen=True)
class Setup:
    """One trial's circumstances. `padding` is in bytes, `ports` in the order of preference."""

    padding: int
    hash_seed: int
    ports: tuple[int, ...]
    order_seed: str

    def environment(self) -> dict[str, str]:
        """Return the variables that a server gets besides its own."""
        return {PADDING: "x" * self.padding, "PYTHONHASHSEED": str(self.hash_seed)}

    def order(self, tenants: Sequence[Item]) -> list[Item]:
        """Return the tenants in this block's order."""
        return random.Random(self.order_seed).sample(tenants, len(tenants))


def draw(seed: int, block: int, trial: str) -> Setup:
    """Return the setup of a trial: the same for the same seed, whatever was measured before."""
    of_block = random.Random(f"{seed}/{block}/setup")
    of_trial = random.Random(f"{seed}/{trial}/port")
    return Setup(
        padding=of_block.randint(0, _MOST_PADDING),
        hash_seed=of_block.randint(0, _MOST_HASH_SEED),
        ports=tuple(of_trial.sample(_PORTS, 20)),
        order_seed=f"{seed}/{block}/tenants",
    )


def size(environment: Mapping[str, str]) -> int:
    """Return how many bytes an environment takes on a process's stack (execve(2))."""
    return sum(map(len, _entries(environment)))


def _entries(environment: Mapping[str, str]) -> Iterator[bytes]:
    for name, value in environment.items():
        yield f"{name}={value}\0".encode()
