"""What a trial needs before anything is started: a row without numbers, the generator's command.

The road of a trial: see `assess`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.plan.loads import Open, Replay
from harness.plan.plan import Plan, Spec
from harness.results.rows import TrialRow
from harness.target import randomization
from harness.target.targets import Target
from harness.trial.beside import ceiling
from workloads import tenants
from workloads.load import spec as load
from workloads.proof import Identity

_NOWHERE = ("127.0.0.1", 1)
"""Stands in for the address of a server that is not started yet."""


@dataclass(frozen=True)
class Prepared:
    """A trial that can be made: of what, under which circumstances, and what to ask for.

    `row` has no numbers and is void; `command` is the generator's, without a server's address and
    without a place for its output.
    """

    spec: Spec
    target: Target
    setup: randomization.Setup
    row: TrialRow
    command: Mapping[str, Any]

    def addressed(self, host: str, port: int, output: Path) -> dict[str, Any]:
        """Return the command for a server that listens there; its rows go to `output`."""
        return {**self.command, "host": host, "port": port, "output": str(output)}

    def load(self) -> load.Load:
        """Return what the generator will ask for; whom, it is not told here."""
        host, port = _NOWHERE
        return load.read({**self.command, "host": host, "port": port, "credential_key": None})


class Preparation:
    """Prepares the trials of a run."""

    def __init__(
        self,
        plan: Plan,
        targets: Sequence[Target],
        settled: tenants.Manifest,
        credential_key: Path,
        trace: Path | None = None,
    ) -> None:
        """`settled` are the tenants that there are, `trace` is that of a log to be replayed.

        The generator's own responders are added.
        """
        self._plan = plan
        nulls = [ceiling.null_target(name) for name in ceiling.nulls(t.runs_as for t in targets)]
        self._targets = {target.name: target for target in (*targets, *nulls)}
        self._tenants = settled
        self._credential_key = credential_key
        self._trace = trace

    def runs_as(self, target: str) -> str:
        """Return whose identity a target's scripts have: server, owner or client."""
        return self._targets[target].runs_as

    def prepare(self, spec: Spec) -> Prepared:
        """Return all that a trial needs."""
        target = self._targets[spec.target]
        setup = randomization.draw(self._plan.seed, spec.block, spec.trial)
        return Prepared(
            spec, target, setup, self._row(spec, target), self._command(spec, target, setup)
        )

    def _row(self, spec: Spec, target: Target) -> TrialRow:
        return TrialRow(
            trial=spec.trial,
            block=spec.block,
            position=spec.position,
            target=spec.target,
            kind=target.kind,
            runs_as=target.runs_as,
            workload=spec.workload,
            load=str(spec.load),
            connection=spec.connection,
            tenants=self._plan.tenants,
            popularity=self._plan.popularity,
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            verdict="void: not made",
        )

    def _command(self, spec: Spec, target: Target, setup: randomization.Setup) -> dict[str, Any]:
        www = self._tenants.www
        warmup_s, seconds = self._plan.times(spec)
        return {
            "trial": spec.trial,
            "workload": spec.workload,
            "tenants": [
                {
                    "name": tenant.name,
                    **vars(_identity_of_scripts(target, www, tenant)),
                    "host": target.host_of(tenant.uid),
                }
                for tenant in setup.order(self._asked(target))
            ],
            "server": vars(www),
            "credential_key": str(self._credential_key) if target.by_client else None,
            **self._load(spec),
            "language": target.language,
            "connection": spec.connection,
            "client": self._plan.client,
            "popularity": "uniform" if self._plan.replay else self._plan.popularity,
            "seed": self._plan.seed * 1000 + spec.block,
            "warmup_s": warmup_s,
            "measure_s": seconds,
        }

    def _asked(self, target: Target) -> Sequence[tenants.Tenant]:
        everybody = self._tenants.tenants
        return everybody[: ceiling.MOST_TENANTS] if ceiling.is_null(target.name) else everybody

    def _load(self, spec: Spec) -> dict[str, Any]:
        users = self._plan.bound(spec.connection)
        if isinstance(spec.load, Replay):
            return {"users": users, "trace": self._playback(spec, spec.load)}
        if isinstance(spec.load, Open):
            return {"users": users, "rate": spec.load.rate, "schedule": spec.load.schedule}
        return {"users": spec.load.users}

    def _playback(self, spec: Spec, load: Replay) -> dict[str, Any]:
        """Return the fields of `workloads.access_log.trace.Playback.of`.

        A log that is longer than the window is played from a request on that each block draws.
        """
        warmup_s, seconds = self._plan.times(spec)
        drawn = random.Random(f"{self._plan.seed}/{spec.block}/replay").random()
        return {
            "file": str(self._trace),
            "speed": load.speed,
            "at": 0.0 if load.fits(seconds) else drawn,
            "lead_s": warmup_s,
        }


def _identity_of_scripts(target: Target, www: Identity, tenant: tenants.Tenant) -> Identity:
    """Return the identity that a tenant's script must prove; initgroups(3) adds its own gid."""
    identity = tenants.script_identity(target.runs_as, www, tenant.identity)
    return replace(identity, groups=(identity.gid,)) if target.in_own_group else identity
