"""A bench that needs no server, so that a whole run takes milliseconds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.commands.signals import Interrupted
from harness.plan.plan import Spec
from harness.trial.outcome import Trial
from tests.harness.folders import ROW


class Bench:
    """Makes trials of nothing; the one numbered `breaks_at` is interrupted."""

    def __init__(self, void: str = "", breaks_at: int | None = None) -> None:
        self.void = void
        self.breaks_at = breaks_at
        self.made: list[Spec] = []

    def measure(self, spec: Spec) -> Trial:
        if len(self.made) == self.breaks_at:
            raise Interrupted(2)
        self.made.append(spec)
        wrong = spec.target == self.void
        row = replace(
            ROW,
            trial=spec.trial,
            block=spec.block,
            position=spec.position,
            target=spec.target,
            workload=spec.workload,
            load=str(spec.load),
            connection=spec.connection,
            verdict="void: it lied" if wrong else "ok",
            requests_per_second=None if wrong else 100.0,
        )
        return Trial(row, np.empty(0) if wrong else np.array([500.0, 700.0]))

    def measure_interleaved(self, specs: Sequence[Spec]) -> list[Trial]:
        return [self.measure(spec) for spec in specs]
