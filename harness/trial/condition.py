"""Trials under one condition, interleaved: how fast each target is, and when it is loaded.

Pure but for the barrier at which the trials of a condition wait for each other.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.plan.interleaving import SHORTEST_S, Interleaving, Pace, interleave, pace
from harness.plan.loads import Closed
from harness.plan.plan import Plan, Spec
from harness.results.conditions import BASELINE
from harness.trial.barrier import Barrier
from harness.trial.outcome import Seen, Trial
from harness.trial.prepare import Prepared


@dataclass
class Condition:
    """Trials under one condition, made together: who waits for whom, what their pilots showed."""

    prepared: Sequence[Prepared]
    everybody: Barrier
    paces: dict[str, Pace] = field(default_factory=dict)
    alone: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> tuple[str, ...]:
        """What it has in common with the same trials of other blocks."""
        specs = [one.spec for one in self.prepared]
        first = specs[0]
        targets = sorted(spec.target for spec in specs)
        return first.workload, str(first.load), first.connection, *targets

    def own(self, attempts: Sequence[Seen | Trial]) -> list[Seen | Trial]:
        """Return those of the attempts that are of this condition."""
        names = {one.spec.trial for one in self.prepared}
        return [
            one
            for one in attempts
            if (one.spec.trial if isinstance(one, Seen) else one.row.trial) in names
        ]

    def interleaving(self, plan: Plan) -> Interleaving:
        """Return the slices of the trials: the same to all who ask.

        One that has failed before its pace was known has no slice that anybody needs.
        """
        specs = [one.spec for one in self.prepared]
        unknown = Pace(SHORTEST_S, 0.0)
        names = [spec.target for spec in specs]
        return interleave(
            [self.paces.get(name, unknown) for name in names],
            names.index(BASELINE) if BASELINE in names else None,
            plan.seconds_together(specs),
            plan.warmup_s,
            f"{plan.seed}/{specs[0].block}/{specs[0].workload}/{specs[0].connection}",
        )


def by_condition(specs: Sequence[Spec]) -> list[list[Spec]]:
    """Return trials by their workload, load and connection, in their order."""
    groups: dict[tuple[str, ...], list[Spec]] = {}
    for spec in specs:
        key = (spec.workload, str(spec.load), spec.connection)
        groups.setdefault(key, []).append(spec)
    return list(groups.values())


class Paces:
    """How fast each target is under each condition, as far as it has been seen."""

    def __init__(self, plan: Plan) -> None:
        self._slice_s = plan.slice_s or SHORTEST_S
        self._connections = plan.connections
        self._known: dict[tuple[str, ...], Pace] = {}

    def of(self, spec: Spec) -> Pace | None:
        """Return the pace of a trial's target, None where it is not known yet.

        Until its own is known, that with another handling of connections will do: a slice has time
        for several requests, and it seldom makes a factor of two.
        """
        alike = [spec, *(replace(spec, connection=other) for other in self._connections)]
        return next((self._known[_key(one)] for one in alike if _key(one) in self._known), None)

    def note(self, spec: Spec, per_second: float) -> Pace:
        """Take a rate, in requests a second, for that of a trial's target; return its pace."""
        assert isinstance(spec.load, Closed)
        found = self._known[_key(spec)] = pace(per_second, spec.load.users, self._slice_s)
        return found

    def learn(self, conditions: Sequence[Condition], judged: Mapping[str, Trial]) -> None:
        """Set the paces of the next block: a pilot is short, and may have met a slow moment."""
        for condition in conditions:
            for spec in (one.spec for one in condition.prepared):
                if per_second := judged[spec.trial].row.requests_per_second:
                    self.note(spec, per_second)


def _key(spec: Spec) -> tuple[str, ...]:
    return spec.target, spec.workload, str(spec.load), spec.connection
