"""Two runs side by side. Pure: what two results folders hold in, a `Comparison` out.

Strategy
========

Rows compare within one target and one condition. Each metric gives a ratio NEW/BASE with a 95%
interval (`intervals.LogRatio`), a p-value (`significance.unpaired_p`) adjusted for the whole
table by Holm, and a finding (`significance.judge`).

**What the blocks cannot know.** All blocks of a run share its hour. Whatever changed on the host
between the two runs is in every block of one and in none of the other, so it looks like a
difference, however narrow the intervals. Every comparison says so; `ratio_to_dso`, which is formed
within each block, is the metric that holds against it.

**Nothing is passed over in silence.** Rows that only one run has, facts in which the runs differ,
verdicts other than ok and unfinished runs are all part of the comparison.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from harness.errors import Caution, IsobenchError
from harness.results.comparison.thresholds import Bound, Check, Outcome, check
from harness.results.conditions import BASELINE, Condition, Key
from harness.results.format import count
from harness.results.manifest import Manifest
from harness.results.provenance import Discrepancy, discrepancies
from harness.stats.intervals import (
    Interval,
    LogRatio,
    geometric_interval,
    unpaired_ratio,
)
from harness.stats.significance import (
    SMALLEST_EFFECT,
    Finding,
    holm,
    judge,
    unpaired_p,
)

# What is compared unless told otherwise, and what else can be.
METRICS = (
    *("requests_per_second", "p50_ms", "p99_ms"),
    *("server_cpu_us_per_request", "memory_mib"),
)
_FAR = 100.0
RATIO = f"ratio_to_{BASELINE}"
CAPACITY = f"capacity_ratio_to_{BASELINE}"
OF_BASELINE = (RATIO, CAPACITY)
"""Formed within each block, so that what slows all targets down alike cancels."""
COMPARABLE = (
    *METRICS,
    *(RATIO, CAPACITY, "mean_ms", "p90_ms", "startup_s", "forks_per_request"),
    *("context_switches_per_request", "page_faults_per_request"),
)


@dataclass(frozen=True)
class Measured:
    """What one run measured: of each target and condition, one value a block of each metric.

    `verdicts` are those of the summary, and name every target and condition that was tried.
    """

    manifest: Manifest
    values: Mapping[Key, Mapping[str, tuple[float, ...]]]
    verdicts: Mapping[Key, str]

    def of(self, key: Key, metric: str) -> tuple[float, ...]:
        """Return the blocks' values; none where the metric is not known."""
        return self.values.get(key, {}).get(metric, ())

    @property
    def name(self) -> str:
        """The run's name."""
        return self.manifest.run_id


@dataclass(frozen=True)
class Compared:
    """One metric of one target and condition in both runs.

    `base` and `new` are geometric means over the blocks, `p_value` is adjusted for the table.
    """

    target: str
    condition: Condition
    metric: str
    base: float
    new: float
    base_blocks: int
    new_blocks: int
    logs: LogRatio
    raw_p_value: float
    p_value: float
    finding: Finding
    base_verdict: str
    new_verdict: str

    @property
    def ratio(self) -> Interval:
        """NEW/BASE with its interval."""
        return self.logs.interval()


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side, with all that one must know before trusting the comparison."""

    base: Manifest
    new: Manifest
    rows: tuple[Compared, ...]
    only_base: tuple[Key, ...]
    only_new: tuple[Key, ...]
    discrepancies: tuple[Discrepancy, ...]
    cautions: tuple[Caution, ...]
    checks: tuple[Check, ...]
    smallest_effect: float

    @property
    def across_machines(self) -> bool:
        """Whether the runs were made on two machines, and compared all the same."""
        return any(one.decisive for one in self.discrepancies)

    def outcomes(self, place: int) -> list[Check]:
        """Return the checks of the row at `place`."""
        return [one for one in self.checks if one.place == place]

    def broken(self) -> list[Check]:
        """Return the checks that failed."""
        return [one for one in self.checks if one.outcome is Outcome.BROKEN]


def choose_metrics(names: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics of these names, each once. Raises IsobenchError for an unknown one."""
    unknown = [name for name in names if name not in COMPARABLE]
    if unknown or not names:
        raise IsobenchError(
            f"{unknown[0]!r} is not a metric that can be compared"
            if unknown
            else "no metric is chosen",
            hint=f"the metrics are {', '.join(COMPARABLE)}",
        )
    return tuple(dict.fromkeys(names))


def compare(
    base: Measured,
    new: Measured,
    *,
    metrics: Sequence[str] = METRICS,
    bounds: Sequence[Bound] = (),
    smallest_effect: float = SMALLEST_EFFECT,
    force: bool = False,
) -> Comparison:
    """Return two runs side by side; metrics that only a bound names are compared too.

    Raises IsobenchError for two machines (unless `force`), no common row, or a bound that no row
    can break.
    """
    found = discrepancies(base.manifest, new.manifest)
    if not force:
        _refuse_two_machines(found)
    both = [key for key in base.verdicts if key in new.verdicts]
    rows = _rows(base, new, both, (*metrics, *(bound.metric for bound in bounds)), smallest_effect)
    if not rows:
        raise IsobenchError(
            "the two runs have no target and condition in common",
            hint=_what_each_has(base, new),
        )
    return Comparison(
        base=base.manifest,
        new=new.manifest,
        rows=rows,
        only_base=tuple(key for key in base.verdicts if key not in new.verdicts),
        only_new=tuple(key for key in new.verdicts if key not in base.verdicts),
        discrepancies=found,
        cautions=tuple(_cautions(base, new, rows, found)),
        checks=check(bounds, rows),
        smallest_effect=smallest_effect,
    )


def _what_each_has(base: Measured, new: Measured) -> str:
    """Describe what two runs with nothing in common measured: targets, or else conditions."""
    targets = [_list(run.values) or "nothing" for run in (base, new)]
    if {target for target, _ in base.values}.isdisjoint(target for target, _ in new.values):
        return f"BASE has {targets[0]}; NEW has {targets[1]}"
    conditions = [
        " and ".join(dict.fromkeys(condition.words() for _, condition in run.values))
        for run in (base, new)
    ]
    return f"BASE was measured with {conditions[0]}; NEW with {conditions[1]}"


def refuse_broken(comparison: Comparison) -> None:
    """Raise IsobenchError, exit code 1, where a bound is broken; it names every row."""
    if not (broken := comparison.broken()):
        return
    said = [
        f"'{bound}' at {', '.join(_moved(row) for row in rows)} ({condition.words()})"
        for (bound, condition), rows in _grouped(comparison, broken).items()
    ]
    raise IsobenchError(
        f"--fail-if holds with confidence: {'; '.join(said)}",
        hint="find the cause and fix it; if the change is intended, use NEW as the next BASE",
        exit_code=1,
    )


def _grouped(
    comparison: Comparison, checks: Iterable[Check]
) -> Mapping[tuple[Bound, Condition], list[Compared]]:
    groups: dict[tuple[Bound, Condition], list[Compared]] = {}
    for one in checks:
        row = comparison.rows[one.place]
        groups.setdefault((one.bound, row.condition), []).append(row)
    return groups


def _moved(row: Compared) -> str:
    low, mid, high = (change(end) for end in (row.ratio.low, row.ratio.mid, row.ratio.high))
    return f"{row.target} {mid} ({low} to {high})"


def change(ratio: float) -> str:
    """Return a ratio as a change: 1.052 is +5.2%, 3.5 is +250%, beyond 100 times >+9,900%."""
    if math.isnan(ratio):
        return "unknown"
    if ratio > _FAR:  # where it lies beyond that, it says no more than that it is useless
        return f">{change(_FAR)}"
    if ratio < 1 / _FAR:
        return f"<{change(1 / _FAR)}"
    percent = 100 * (ratio - 1)
    text = f"{percent:+.1f}%" if abs(percent) < 99.95 else f"{percent:+,.0f}%"
    return text if text.strip("+-0.%") else "0.0%"


def _refuse_two_machines(found: Sequence[Discrepancy]) -> None:
    decisive = [one for one in found if one.decisive]
    if decisive:
        said = "; ".join(f"{one.name} is {one.base} and {one.new}" for one in decisive)
        raise IsobenchError(
            f"the two runs were made on different machines: {said}",
            hint="measure both on one machine; to compare them anyway, add --force",
        )


def _rows(
    base: Measured,
    new: Measured,
    keys: Iterable[Key],
    metrics: Iterable[str],
    smallest_effect: float,
) -> tuple[Compared, ...]:
    chosen = tuple(dict.fromkeys(metrics))
    places = [(key, metric) for key in keys for metric in chosen if _known(base, new, key, metric)]
    p_values = [unpaired_p(unpaired_ratio(new.of(*place), base.of(*place))) for place in places]
    return tuple(
        _row(base, new, key, metric, p_value, adjusted, smallest_effect)
        for (key, metric), p_value, adjusted in zip(places, p_values, holm(p_values), strict=True)
    )


def _known(base: Measured, new: Measured, key: Key, metric: str) -> bool:
    if metric in OF_BASELINE and key[0] == BASELINE:  # 1 in every block, by definition
        return False
    return bool(base.of(key, metric) and new.of(key, metric))


def _row(
    base: Measured,
    new: Measured,
    key: Key,
    metric: str,
    p_value: float,
    adjusted: float,
    smallest_effect: float,
) -> Compared:
    target, condition = key
    before, after = base.of(key, metric), new.of(key, metric)
    logs = unpaired_ratio(after, before)
    return Compared(
        target=target,
        condition=condition,
        metric=metric,
        base=geometric_interval(before).mid,
        new=geometric_interval(after).mid,
        base_blocks=len(before),
        new_blocks=len(after),
        logs=logs,
        raw_p_value=p_value,
        p_value=adjusted,
        finding=judge(logs.interval(), adjusted, smallest_effect),
        base_verdict=base.verdicts[key],
        new_verdict=new.verdicts[key],
    )


def _cautions(
    base: Measured, new: Measured, rows: Sequence[Compared], found: Sequence[Discrepancy]
) -> Iterator[Caution]:
    if decisive := [one.name for one in found if one.decisive]:
        yield Caution(
            f"the runs were made on different machines ({', '.join(decisive)})",
            "do not attribute differences to the targets; measure both on one machine",
        )
    if base.name == new.name:
        yield Caution("BASE and NEW are the same run", "name two folders")
    for side, run in (("BASE", base), ("NEW", new)):
        if run.manifest.finished_at is None:
            yield Caution(f"{side} did not finish", "finish it: isobench run --resume DIR")
        yield from _verdicts(side, run)
    yield from _too_few(rows)
    if base.name != new.name:
        yield Caution(
            f"{_apart(base.manifest, new.manifest)}: what changed on the host meanwhile counts as "
            "a difference",
            f"measure BASE again after NEW, or compare {RATIO}, formed within each block",
        )


def _verdicts(side: str, run: Measured) -> Iterator[Caution]:
    """List for each verdict but ok the targets that have it, under any condition."""
    advice = {
        "noisy": "measure on a quieter machine, or with more --blocks and --seconds",
        "generator-bound": "compare server_cpu_us_per_request instead of rates and times",
    }
    for verdict in dict.fromkeys(run.verdicts.values()):
        if verdict != "ok":
            keys = [key for key, value in run.verdicts.items() if value == verdict]
            yield Caution(
                f"{verdict} in {side}: {_list(keys)}",
                advice.get(
                    verdict, f"see first_error in trials.parquet of {side}, and fix the cause"
                ),
            )


def _too_few(rows: Sequence[Compared]) -> Iterator[Caution]:
    """Say what cannot be found with so few blocks."""
    one = [row for row in rows if min(row.base_blocks, row.new_blocks) < 2]
    if one:
        names = ", ".join(dict.fromkeys(row.target for row in one))
        yield Caution(
            f"only one valid block, so no interval: {names}", "measure with --blocks 5 or more"
        )


def _apart(base: Manifest, new: Manifest) -> str:
    try:
        times = [datetime.fromisoformat(run.started_at) for run in (base, new)]
        seconds = abs((times[1] - times[0]).total_seconds())
    except (ValueError, TypeError):  # not a time, or one of them without its zone
        return "the runs were made at different times"
    sizes = ((3600, "hours"), (60, "minutes"), (1, "seconds"))
    size, unit = next((one for one in sizes if seconds >= 2 * one[0]), sizes[-1])
    time = f"{count(round(seconds / size, 1))} {unit}"
    return f"the runs began {time} apart"


def _list(keys: Iterable[Key]) -> str:
    return ", ".join(dict.fromkeys(target for target, _ in keys))
