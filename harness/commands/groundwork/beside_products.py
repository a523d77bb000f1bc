"""Real products beside the modes of a measurement: which, on which interpreter, with which scripts.

Each command that takes `--peers` chooses its targets here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from harness.errors import Caution, IsobenchError
from harness.target.targets import (
    SYSTEM_PYTHON,
    Target,
    choose,
    peers_beside,
    python,
    run_on,
    shared_python,
    version_of,
)
from workloads import catalog
from workloads.errors import WorkloadError


@dataclass(frozen=True)
class Products:
    """Which real products are measured beside the targets that were named.

    `modules` are files of modules that no package has.
    """

    all_peers: bool = False
    modules: tuple[Path, ...] = ()


NO_PRODUCTS: Final = Products()


def with_products(
    names: Sequence[str], *, all_peers: bool, modules: Sequence[Path] = ()
) -> list[Target]:
    """Return the targets of these names, and with `all_peers` the products beside them.

    `modules` are files for peers whose module no package has. Raises IsobenchError as `choose`.
    """
    chosen = choose(names, peers=True, modules=modules)
    if not all_peers:
        return chosen
    known = {target.name for target in chosen}
    beside = [peer.name for peer in peers_beside(names) if peer.name not in known]
    return choose([*names, *beside], peers=True, modules=modules)


def check_scripts(workloads: Iterable[str], targets: Sequence[Target]) -> None:
    """Refuse workloads that a peer has no script for, in its language. Raises IsobenchError."""
    names = list(chain.from_iterable(map(catalog.parts, workloads)))
    for target in targets:
        for name in names:
            try:
                catalog.find(name).written_in(target.language)
            except WorkloadError as error:
                raise IsobenchError(f"{target.name}: {error}", hint=error.hint) from error


def share_interpreter(targets: Sequence[Target]) -> list[Caution]:
    """Have modes run on the interpreter of the products that bring their own; say where not.

    What a mode does depends as much on the build of the interpreter as on the mode.
    """
    if not any(target.is_peer for target in targets):
        return []
    if shared := shared_python():
        run_on(shared)
        return []
    return [
        Caution(
            f"modes run on {python()} ({version_of(python())}), and peers with Python on "
            f"{SYSTEM_PYTHON}",
            f"install isobench for a Python of the same version as {SYSTEM_PYTHON}",
        )
    ]
