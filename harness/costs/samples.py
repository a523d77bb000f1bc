"""From one number a round to a row of costs.parquet. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Literal

from harness.results.rows import CostRow
from harness.stats.intervals import geometric_interval

Measure = Literal["creation", "line", "heap", "worker", "load", "import"]

GROUPS: Mapping[Measure, str] = {
    "creation": "process",
    "line": "process",
    "heap": "process",
    "worker": "process",
    "load": "interpreter",
    "import": "interpreter",
}


@dataclass(frozen=True)
class Subject:
    """What gets one number a round; together its members name a row.

    `heap_mib` and `pages` (small or huge) are those of the process that makes others. `place` and
    `depth` put an import where it is in its tree.
    """

    measure: Measure
    name: str
    parameter: str
    heap_mib: float | None = None
    pages: str | None = None
    path: str | None = None
    version: str | None = None
    stamp: str | None = None
    place: int | None = None
    depth: int | None = None


@dataclass(frozen=True)
class Facts:
    """What else is known of one repetition, on average; None where it was not looked at.

    `call_us` is how long the call itself took, before the parent could go on. Page faults, CPU
    time and memory are those of the process and of what it made.
    """

    call_us: float | None = None
    user_us: float | None = None
    system_us: float | None = None
    page_faults: float | None = None
    memory_mib: float | None = None
    syscalls: float | None = None
    files_opened: float | None = None
    cumulative_us: float | None = None


@dataclass(frozen=True)
class Sample:
    """One round of one subject: the median of its repetitions, in microseconds."""

    subject: Subject
    round: int
    value_us: float
    repetitions: int
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True)
class Missing:
    """What this host does not have or allow, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Cost:
    """What one subject costs, over all rounds."""

    subject: Subject
    value_us: float
    low_us: float | None
    high_us: float | None
    rounds: int
    repetitions: int | None = None
    facts: Facts = field(default_factory=Facts)

    def row(self) -> CostRow:
        """Return the row of costs.parquet."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        parts = {**asdict(own.pop("subject")), **asdict(own.pop("facts"))}
        return CostRow(group=GROUPS[self.subject.measure], **parts, **own)


def rows(samples: Iterable[Sample]) -> list[Cost]:
    """Return a row for each subject, in the order in which they first came.

    The value is the geometric mean of the rounds, with Student's t interval on the logarithms;
    facts are means over the rounds that know them.
    """
    by_subject: dict[Subject, list[Sample]] = {}
    for sample in samples:
        by_subject.setdefault(sample.subject, []).append(sample)
    return [_row(subject, of_subject) for subject, of_subject in by_subject.items()]


def _row(subject: Subject, samples: Sequence[Sample]) -> Cost:
    values = [sample.value_us for sample in samples]
    if min(values) > 0:
        interval = geometric_interval(values)
        value, low, high = interval.mid, interval.low, interval.high
    else:  # an import that took less than the clock can tell
        value, low, high = statistics.median(values), min(values), max(values)
    return Cost(
        subject,
        value_us=value,
        low_us=low,
        high_us=high,
        rounds=len(samples),
        repetitions=sum(sample.repetitions for sample in samples),
        facts=Facts(**{one.name: _mean(samples, one.name) for one in fields(Facts)}),
    )


def _mean(samples: Sequence[Sample], name: str) -> float | None:
    known = [value for one in samples if (value := getattr(one.facts, name)) is not None]
    return statistics.fmean(known) if known else None
