"""The folder that a command writes to: a new one, or that of an earlier run."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.commands.arguments import arguments
from harness.errors import Caution
from harness.host import fingerprint, settings
from harness.host.cores import Cores
from harness.results import provenance
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest
from harness.target.sites import interpreter
from harness.target.targets import Refusal, Target
from harness.terminal import styled


@dataclass(frozen=True)
class Host:
    """The host as it was before the run took its place on it."""

    fingerprint: Mapping[str, object]
    cautions: tuple[Caution, ...]

    @classmethod
    def examine(cls) -> Host:
        """Look at the host; takes a second, so not while anything is measured."""
        return cls(fingerprint.fingerprint(), tuple(settings.harmful_settings()))


@dataclass(frozen=True)
class Ground:
    """What a command stands on, once the host has been asked: the targets that can be measured.

    `cores` is None where nothing is measured by time.
    """

    targets: tuple[Target, ...]
    refused: tuple[Refusal, ...]
    cores: Cores | None
    host: Host


def new_run_id() -> str:
    """Return a name that no other run has, which sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def now() -> str:
    """Return the time as run.json has it: ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def argv() -> tuple[str, ...]:
    """Return the command as it was typed."""
    return ("isobench", *sys.argv[1:])


def new_manifest(
    run_id: str, ground: Ground, seed: int, plan: Mapping[str, Any] | None = None
) -> Manifest:
    """Return what run.json says of a command that begins now. Only `run` has a plan."""
    cores = ground.cores
    return Manifest(
        run_id=run_id,
        isobench=fingerprint.own_version(),
        commit=fingerprint.own_commit(),
        started_at=now(),
        argv=argv(),
        arguments=arguments(),
        seed=seed,
        plan=plan or {},
        machine=ground.host.fingerprint,
        versions=fingerprint.versions(),
        targets=tuple(target.record for target in ground.targets),
        skipped=tuple(refusal.record for refusal in ground.refused),
        interpreter=interpreter(),
        warnings=ground.host.cautions,
        cores={"server": cores.server, "generator": cores.generator} if cores else {},
    )


def open_or_create(path: Path, manifest: Manifest, when: str, console: Console) -> ResultsFolder:
    """Open the folder of an earlier run to add to it, or create one with this manifest.

    `when` says in a warning when host or isobench changed since the earlier run. Raises
    IsobenchError as `ResultsFolder.open` and `create` do.
    """
    if not (path / "run.json").exists():
        return ResultsFolder.create(path, manifest)
    with ExitStack() as stack:
        folder = stack.enter_context(ResultsFolder.open(path, writable=True))
        warn_of_change(folder, manifest.machine, when, console)
        stack.pop_all()
    return folder


def add_targets(folder: ResultsFolder, targets: Iterable[Target]) -> None:
    """Note in run.json those of the targets that it does not have yet."""
    known = {target.name for target in folder.manifest.targets}
    if new := [target.record for target in targets if target.name not in known]:
        folder.update(targets=(*folder.manifest.targets, *new))


def warn_of_change(
    folder: ResultsFolder, facts: Mapping[str, object], when: str, console: Console
) -> None:
    """Note in run.json, and say, if host or isobench are no longer what they were in the run."""
    before = folder.manifest.machine
    # What an older isobench did not look at cannot have changed as far as one can tell.
    host = [name for name, value in facts.items() if before.get(name, value) != value]
    tools = provenance.tools(
        fingerprint.own_version(), fingerprint.own_commit(), interpreter(), fingerprint.versions()
    )
    software = provenance.changes(provenance.last_tools(folder.manifest), tools)
    if software:
        noted = {**tools, "when": when, "at": now()}
        folder.update(continued_by=(*folder.manifest.continued_by, noted))
    for subject, changed in (("the host", host), ("isobench", software)):
        if not changed:
            continue
        about = f"{subject} changed {when}: {', '.join(changed)}"
        caution = Caution(about, "do not compare results from before and after; measure again")
        folder.update(warnings=(*folder.manifest.warnings, caution))
        console.print(styled(("warning", "yellow"), f": {about}\n  remedy: {caution.advice}"))
