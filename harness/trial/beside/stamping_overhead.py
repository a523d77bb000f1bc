"""What stamping itself costs: a server that stamps against one that does not, interleaved.

As `isobench selftest` compares a server with a slowed one: both live at the same time and are
loaded in slices of one timetable (`workloads.load.timetable`), by one user each, over a connection
that is kept alive, which makes requests short and the cost of a stamp a large share of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from harness.errors import IsobenchError
from harness.host.cores import Cores
from harness.plan.loads import Closed
from harness.plan.plan import Plan
from harness.stats.intervals import Interval, ratio_interval
from harness.target.run_resources import RunResources
from harness.target.targets import Target, choose
from harness.trial.bench import Laboratory

SUBJECT: Final = "dso"
MOST: Final = 0.02
"""What stamping may cost the subject, as a share of its requests per second."""

_STAMPING: Final = f"{SUBJECT}:stamping"


@dataclass(frozen=True)
class Comparison:
    """How much is measured: blocks, and seconds of load for each of the two servers in each."""

    blocks: int = 16
    seconds: float = 1.0


QUICK: Final = Comparison(blocks=6, seconds=0.4)


def cost(comparison: Comparison, cores: Cores, seed: int) -> Interval:
    """Return the share of its requests per second that stamping costs the subject.

    Raises IsobenchError where the comparison cannot be made.
    """
    plan = _plan(comparison, seed)
    with RunResources() as resources:
        targets = _targets(resources)
        rates: dict[str, list[float]] = {target.name: [] for target in targets}
        with Laboratory(resources, plan, targets, cores) as laboratory:
            trials = list(plan.trials())
            for start in range(0, len(trials), len(targets)):
                made = laboratory.measure_interleaved(trials[start : start + len(targets)])
                for trial in made:
                    if trial.row.requests_per_second is None:
                        raise IsobenchError(
                            f"the cost of recording phases is unknown: {trial.row.verdict}",
                            hint=f"see what isobench run --modes {SUBJECT} --quick reports",
                        )
                    rates[trial.row.target].append(trial.row.requests_per_second)
    ratio = ratio_interval(rates[_STAMPING], rates[SUBJECT])
    return Interval(1 - ratio.high, 1 - ratio.mid, 1 - ratio.low)


def _plan(comparison: Comparison, seed: int) -> Plan:
    return Plan(
        targets=(SUBJECT, _STAMPING),
        loads=(Closed(1),),
        connections=("keep-alive",),
        workers=1,
        tenants=1,
        blocks=comparison.blocks,
        seconds=comparison.seconds,
        warmup_s=0.04,
        seed=seed,
        slice_s=0.02,
    )


def _targets(resources: RunResources) -> tuple[Target, Target]:
    (subject,) = choose([SUBJECT])
    stamping = replace(subject, name=_STAMPING, stamps=resources.scratch / "journal")
    return subject, stamping
