"""Does the harness find a difference that is there, and none that is not? Pure.

Strategy
========

One block holds a trial of each variant, in seeded random order: `dso`, `dso` again, and `dso` with
5% and with 10% of its own CPU time a request added (`servers.profiling.slowdown`). Seven
consecutive blocks make one comparison of each of the three with the first, as a run with `--blocks
7` would: the ratio in each block, its interval, the paired t test, `significance.judge`. Nothing
is looked at before the last block has ended, and the number of comparisons is fixed beforehand.

**Interleaved.** The four servers of a block run at the same time and are loaded for 10 ms each, in
turn (`workloads.load.timetable`). Measured one after the other for as long, seven blocks found a
slowdown of 5% in half of the comparisons on a virtual machine whose speed varies by a tenth from
second to second, and its effect with an error as large as itself. In slices of 20 ms they found it
in 26 of 40 in a bad hour of that machine, in slices of 10 ms in 39 of 40.

**Shared trials.** The three comparisons of a block share its first trial, so they are dependent:
had it a slow moment, all three look faster. But each of the shares below is taken over comparisons
of different blocks, which have no trial in common, so its binomial interval (Clopper and Pearson
1934) holds. What may not be done, and is not, is to pool the three.

**The judged metric is CPU per request.** What takes the processor away from the server, a neighbour
or the hypervisor, is missing from the rate at once, and is not in the server's CPU time. Rates are
judged the same way and shown; no goal depends on them.

**Two users, connections kept alive, two workers.** The server is the bottleneck: it is busy all the
time, and the generator half of it. With a connection for each request the two are nearly even, and
a server that is slowed lets the generator fall idle; to wake an idle processor costs a virtual
machine more than the slowdown (seen: 8 us added, 20 us more a request). The harness would find
that, and rightly, but it is not what was added.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd

from harness.errors import IsobenchError
from harness.plan.loads import Closed
from harness.plan.plan import Plan
from harness.results.blocks import counted
from harness.results.rows import TrialRow
from harness.stats.intervals import CONFIDENCE, NOTHING, Interval, ratio_interval
from harness.stats.significance import SMALLEST_EFFECT, Finding, judge, paired_p
from harness.target.targets import Target

BASELINE = "dso"
CPU, RATE = "server_cpu_us_per_request", "requests_per_second"
METRICS = (CPU, RATE)
JUDGED = CPU
_COSTLIER = {CPU: Finding.HIGHER, RATE: Finding.LOWER}


@dataclass(frozen=True)
class Variant:
    """`dso` with a share of its own CPU time added, and how often that is to be called different.

    `goal` is a share of the comparisons: at most so many without a slowdown, else at least.
    """

    name: str
    slowdown: float
    goal: float

    def meets(self, share: float) -> bool:
        """Return whether a share of comparisons called different is good enough."""
        return share >= self.goal if self.slowdown else share <= self.goal

    def calls(self, metric: str, finding: Finding) -> bool:
        """Return whether a finding counts: any difference, or that of the slowdown."""
        if self.slowdown:
            return finding is _COSTLIER[metric]
        return finding in (Finding.HIGHER, Finding.LOWER)


VARIANTS = (
    Variant(f"{BASELINE}:again", 0.0, 0.05),
    Variant(f"{BASELINE}:plant=5%", 0.05, 0.80),
    Variant(f"{BASELINE}:plant=10%", 0.10, 0.95),
)


@dataclass(frozen=True)
class Procedure:
    """All that is fixed beforehand. `seconds`, `warmup_s` and `pilot_seconds` are of one trial.

    `slice_s` is the length of the slices in which the trials of a block are interleaved. With
    `disturbed`, a hog takes half of the server's core in random bursts (see `hog`). `budget_s` is
    for all trials together: on a noisy host, where disturbed ones are made again, it may end the
    selftest before the last comparison, whatever the others showed.
    """

    comparisons: int = 40
    blocks: int = 7
    disturbed: bool = False
    seconds: float = 0.24
    warmup_s: float = 0.04
    slice_s: float = 0.01
    pilots: int = 5
    pilot_seconds: float = 1.0
    budget_s: float = 900.0

    def pilot(self, seed: int) -> Plan:
        """Return the plan by which the service time of `dso` is found."""
        plan = self._plan((BASELINE,), self.pilots, seed)
        return replace(plan, seconds=self.pilot_seconds, slice_s=None)

    def plan(self, seed: int) -> Plan:
        """Return the plan of all comparisons."""
        names = (BASELINE, *(variant.name for variant in VARIANTS))
        plan = self._plan(names, self.comparisons * self.blocks, seed)
        return replace(plan, budget_s=self.budget_s)

    def _plan(self, targets: tuple[str, ...], blocks: int, seed: int) -> Plan:
        return Plan(
            targets=targets,
            loads=(Closed(2),),
            connections=("keep-alive",),
            workers=2,
            tenants=1,
            blocks=blocks,
            seconds=self.seconds,
            warmup_s=self.warmup_s,
            seed=seed,
            slice_s=self.slice_s,
        )


QUICK = Procedure(comparisons=6)

ENOUGH = 20
"""Of fewer comparisons, one alone is more than 5%: a share says little without its interval."""


@dataclass(frozen=True)
class Compared:
    """One comparison of a variant with the baseline. `number` counts from 1.

    `blocks` are those in which both have a value; the interval is NaN where they are too few.
    """

    number: int
    variant: str
    metric: str
    blocks: int
    low: float
    ratio: float
    high: float
    p_value: float
    finding: Finding
    called: bool


@dataclass(frozen=True)
class Share:
    """How many comparisons of a variant were called different, with its 95% binomial interval.

    `planted` is the ratio that is really there, `found` that of all blocks together.
    `met` is None for a metric without goals.
    """

    variant: str
    metric: str
    comparisons: int
    called: int
    low: float
    high: float
    planted: float
    found: Interval
    goal: float
    met: bool | None

    @property
    def is_planted(self) -> bool:
        """Whether there is a difference to be found."""
        return self.planted != 1

    @property
    def share(self) -> float:
        """The share of comparisons called different."""
        return self.called / self.comparisons if self.comparisons else math.nan


@dataclass(frozen=True)
class Outcome:
    """What a selftest found. `service_us` is the CPU time per request: slowdowns are its shares."""

    procedure: Procedure
    seed: int
    service_us: float
    pilots_us: tuple[float, ...]
    void: int
    shares: tuple[Share, ...]
    comparisons: tuple[Compared, ...]

    @property
    def made(self) -> int:
        """How many comparisons of each variant were made."""
        return max((one.number for one in self.comparisons), default=0)

    @property
    def few(self) -> bool:
        """Whether there are too few to hold a share against its goal as it is."""
        return self.made < ENOUGH

    def missed(self) -> list[Share]:
        """Return the shares that miss their goal."""
        return [share for share in self.shares if share.met is False]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON takes it: NaN is null."""
        content = {
            "schema": 1,
            "judged_metric": JUDGED,
            "smallest_effect": SMALLEST_EFFECT,
            "few": self.few,
            "planted_us": {one.name: one.slowdown * self.service_us for one in VARIANTS},
            **asdict(self),
        }
        return _without_nan(content)  # type: ignore[no-any-return]


def service_us(rows: Iterable[TrialRow]) -> tuple[float, tuple[float, ...]]:
    """Return the CPU time per request of `dso`, the median of its pilots, and each of them.

    Raises IsobenchError where a pilot is void: there is nothing to test the harness with.
    """
    values = []
    for row in rows:
        if row.server_cpu_us_per_request is None:
            raise IsobenchError(
                f"{BASELINE} cannot be measured here: {row.verdict}",
                hint=f"see what isobench run --modes {BASELINE} --quick reports",
            )
        values.append(row.server_cpu_us_per_request)
    return float(pd.Series(values).median()), tuple(values)


def targets(baseline: Target, service: float) -> tuple[Target, ...]:
    """Return the baseline and its variants; `service` is its CPU time per request in us."""
    return (
        replace(baseline, slowdown_us=0.0),
        *(replace(baseline, name=one.name, slowdown_us=one.slowdown * service) for one in VARIANTS),
    )


def conclude(
    procedure: Procedure,
    seed: int,
    service: float,
    pilots_us: tuple[float, ...],
    trials: pd.DataFrame,
) -> Outcome:
    """Make all comparisons of a finished selftest, and hold their shares against the goals."""
    good = counted(trials[trials["verdict"] == "ok"])
    # The budget may have ended it in the middle of a comparison, which then was not made.
    made = int(trials["block"].max()) // procedure.blocks if len(trials) else 0
    comparisons: list[Compared] = []
    shares = []
    for metric in METRICS:
        values = _by_block(good, metric)
        for variant in VARIANTS:
            of_variant = [
                _compared(number, procedure.blocks, values, variant, metric)
                for number in range(1, made + 1)
            ]
            comparisons += of_variant
            shares.append(_share(variant, metric, of_variant, _ratio(values, variant)))
    return Outcome(
        procedure=procedure,
        seed=seed,
        service_us=service,
        pilots_us=pilots_us,
        void=int((trials["verdict"] != "ok").sum()),
        shares=tuple(shares),
        comparisons=tuple(comparisons),
    )


def _by_block(good: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a row a block and a column a target.

    Rates are those at the baseline's speed: its own rate times the ratio that a run would report.
    """

    def table(column: str) -> pd.DataFrame:
        found = good.pivot_table(index="block", columns="target", values=column, aggfunc="median")
        return found.reindex(columns=[BASELINE, *(one.name for one in VARIANTS)])

    values = table(metric)
    if metric == RATE and "interleaved_ratio" in good:
        beside = table("interleaved_ratio").mul(values[BASELINE], axis="index")
        values = beside.combine_first(values)
    return values


def _compared(
    number: int, blocks: int, values: pd.DataFrame, variant: Variant, metric: str
) -> Compared:
    # loc is inclusive, and looks at block numbers: a block that was lost moves no other.
    pairs = _pairs(values.loc[(number - 1) * blocks + 1 : number * blocks], variant)
    ratio = ratio_interval(pairs[variant.name].tolist(), pairs[BASELINE].tolist())
    p_value = paired_p((pairs[variant.name] / pairs[BASELINE]).tolist())
    finding = judge(ratio, p_value) if len(pairs) > 1 else Finding.UNSHOWN
    return Compared(
        number=number,
        variant=variant.name,
        metric=metric,
        blocks=len(pairs),
        low=ratio.low,
        ratio=ratio.mid,
        high=ratio.high,
        p_value=p_value,
        finding=finding,
        called=variant.calls(metric, finding),
    )


def _pairs(values: pd.DataFrame, variant: Variant) -> pd.DataFrame:
    pairs = values[[BASELINE, variant.name]]
    return pairs[(pairs > 0).all(axis=1)]


def _ratio(values: pd.DataFrame, variant: Variant) -> Interval:
    pairs = _pairs(values, variant)
    if pairs.empty:
        return NOTHING
    return ratio_interval(pairs[variant.name].tolist(), pairs[BASELINE].tolist())


def _share(variant: Variant, metric: str, made: list[Compared], found: Interval) -> Share:
    called = sum(one.called for one in made)
    low, high = _binomial(called, len(made))
    near = called / max(1, len(made))
    if len(made) < ENOUGH:  # the end of the interval that is nearer to the goal
        near = high if variant.slowdown else low
    planted = 1 + variant.slowdown
    return Share(
        variant=variant.name,
        metric=metric,
        comparisons=len(made),
        called=called,
        low=low,
        high=high,
        planted=planted if metric == CPU else 1 / planted,
        found=found,
        goal=variant.goal,
        met=variant.meets(near) if metric == JUDGED else None,
    )


def _binomial(called: int, made: int) -> tuple[float, float]:
    if not made:
        return 0.0, 1.0
    from scipy import stats  # where it is used: see harness.stats.intervals

    interval = stats.binomtest(called, made).proportion_ci(CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _without_nan(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content
