"""The tenants of a run, as servers find them: made in its scratch directory, gone with it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.host.cores import Cores
from harness.target.run_resources import RunResources
from harness.target.server import Site
from harness.target.targets import python, version_of
from workloads import tenants
from workloads.catalog import scripts
from workloads.proof import Identity


def settle(
    resources: RunResources,
    count: int,
    cores: Cores | None,
    page_pace: int | None = None,
    languages: Iterable[str] = ("python",),
    only: Sequence[str] | None = None,
    place: Path | None = None,
) -> Site:
    """Create tenants in the run's scratch directory and return where servers find them.

    `only` names the workloads whose scripts each tenant gets, None for all; `place` is another
    directory than the scratch directory itself.

    `page_pace` is what `harness.trial.beside.page_pace.measure` returns; None where no page is
    measured. `languages` are those in which the targets' scripts are.
    """
    place = place or resources.scratch
    private = place / "private"
    private.mkdir(mode=0o711)
    privileged = os.geteuid() == 0
    www, first = _identities(resources, count) if privileged else _our_identity()
    sites = place / "sites"
    offered = [one for language in dict.fromkeys(languages) for one in scripts(language)]
    tenants.create(
        sites,
        count=count,
        www=www,
        first_uid=first,
        interpreter=f"{python()} -IS",
        workloads=[one for one in offered if only is None or one.name in only],
        own=privileged,
        pace=page_pace or tenants.USUAL_PACE,
    )
    return Site(
        sites=sites,
        private=private,
        www_uid=www.uid,
        www_gid=www.gid,
        privileged=privileged,
        log=place / "server.log",
        cpus=cores.server if cores else (),
        programs=kept_programs(place),
    )


def _identities(resources: RunResources, count: int) -> tuple[Identity, int]:
    """Return who serves, and the first tenant's uid, of ids that nobody on the host has."""
    base = resources.uids.first_free(count)
    return Identity(base, base, ()), base + 1


def _our_identity() -> tuple[Identity, int]:
    """Return who serves, and the uid of all tenants, where we can be nobody else."""
    groups = tuple(sorted(os.getgroups()))
    return Identity(os.geteuid(), os.getegid(), groups), os.geteuid()


def kept_programs(place: Path) -> Path:
    """Return the directory there in which servers keep what they compile; make it first.

    It is root's alone: who can write there has more than any attack asks for.
    """
    programs = place / "programs"
    programs.mkdir(mode=0o700, exist_ok=True)
    return programs


def interpreter() -> dict[str, str]:
    """Return which interpreter serves and runs the scripts, for the record."""
    return {"path": str(python()), "version": version_of(python()), "flags": "-IS"}
