"""A promise to users, such as "p99 < 50ms and errors < 0.1%": a service level objective. Pure.

Response times count from the intended time of sending (Tene, "How NOT to Measure Latency", 2013).
A request that got no answer took forever: its time is infinite.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.errors import IsobenchError

Times = NDArray[np.float64]

MEAN, MAX, ERRORS = "mean", "max", "errors"
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
MEASURES: Final = (*QUANTILES, MEAN, MAX, ERRORS)
LONGEST_US: Final = 10e6
"""The longest limit. To see whether a longer one is kept would take loads of minutes."""
TAIL: Final = 10
"""A share of requests is known from loads that have so many beyond it."""
_FEW: Final = 100
"""How many requests a mean or a maximum is to be taken of."""
_US: Final = {"us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6}
_NUMBER = r"(\d+(?:\.\d+)?)\s*(us|µs|ms|s|%)"
_CLAUSE = re.compile(rf"([a-z]+[\d.]*)\s*<\s*{_NUMBER}")
_HINT: Final = (
    "write it like 'p99 < 50ms' or 'p99 < 50ms and errors < 0.1%'; there are "
    f"{', '.join(MEASURES)}, with us, ms, s, and % for errors"
)


@dataclass(frozen=True)
class Clause:
    """One measure and its limit, in microseconds; of `errors` a share."""

    measure: str
    limit: float

    def __str__(self) -> str:
        return f"{self.measure} < {self.text(self.limit)}"

    @property
    def requests(self) -> int:
        """How many requests it takes to know whether it is kept."""
        rare = self.limit if self.measure == ERRORS else 1 - QUANTILES.get(self.measure, 0)
        return max(_FEW, round(TAIL / rare))

    def value(self, response_us: Times, failed_share: float) -> float:
        """Return the measure of a load's requests, one at least; infinite where it has no end."""
        if self.measure == ERRORS:
            return failed_share
        if self.measure == MEAN:
            return float(response_us.mean())
        if self.measure == MAX:
            return float(response_us.max())
        # Not interpolated: next to a request without an answer that would be no number.
        quantile = QUANTILES[self.measure]
        return float(np.quantile(response_us, quantile, method="inverted_cdf"))

    def text(self, value: float) -> str:
        """Return a value of this measure with its unit, such as "50 ms"."""
        if self.measure == ERRORS:
            return f"{100 * value:.3g}%"
        if not math.isfinite(value):
            return "without end"
        for unit, size in (("s", 1e6), ("ms", 1e3)):
            if value >= size:
                return f"{value / size:.3g} {unit}"
        return f"{value:.3g} µs"


@dataclass(frozen=True)
class Finding:
    """The clause of a promise that a load came nearest to breaking, or broke most; its value."""

    clause: Clause
    value: float

    @property
    def margin(self) -> float:
        """The value as a share of its limit: below 1 where the promise is kept."""
        return self.value / self.clause.limit

    @property
    def is_kept(self) -> bool:
        """Whether the promise is kept."""
        return self.margin < 1


@dataclass(frozen=True)
class Promise:
    """Clauses that must all hold."""

    clauses: tuple[Clause, ...]

    def __str__(self) -> str:
        return " and ".join(map(str, self.clauses))

    @property
    def requests(self) -> int:
        """How many requests it takes to know whether it is kept."""
        return max(clause.requests for clause in self.clauses)

    @property
    def longest_s(self) -> float:
        """The longest limit of a time, in seconds; 0 where there is none."""
        times = [one.limit for one in self.clauses if one.measure != ERRORS]
        return max(times, default=0.0) / 1e6

    @property
    def allows_errors(self) -> bool:
        """Whether it says how many requests may fail; if not, none may."""
        return any(clause.measure == ERRORS for clause in self.clauses)

    def judge(self, response_us: Times, failed_share: float) -> Finding:
        """Return what a load's requests, one at least, came nearest to breaking."""
        findings = (Finding(one, one.value(response_us, failed_share)) for one in self.clauses)
        return max(findings, key=lambda finding: finding.margin)

    def is_hopeless(self, response_us: Times) -> bool:
        """Return whether these times, of requests that never waited, break it beyond doubt.

        Beyond doubt for a quantile is that so many times would be above its limit by chance in one
        load of a hundred at most (binomial); the mean must be above its limit.
        """
        return any(_is_hopeless(one, response_us) for one in self.clauses if one.measure != ERRORS)


def _is_hopeless(clause: Clause, response_us: Times) -> bool:
    if clause.measure == MEAN:
        return clause.value(response_us, 0.0) >= clause.limit
    count = len(response_us)
    over = int(np.count_nonzero(response_us >= clause.limit))
    if clause.measure == MAX:  # one may be the host's
        return 2 * over > count
    from scipy import stats

    quantile = QUANTILES[clause.measure]
    return over > 0 and float(stats.binom.sf(over - 1, count, 1 - quantile)) < 0.01


def parse(text: str) -> Promise:
    """Read clauses that are joined by "and" or commas. Raises IsobenchError."""
    parts = [part.strip() for part in re.split(r"\band\b|,", text)]
    clauses = tuple(map(_clause, parts))
    if len({clause.measure for clause in clauses}) < len(clauses):
        raise IsobenchError(
            f"the promise {text!r} limits one measure twice", hint="keep the stricter limit"
        )
    return Promise(clauses)


def _clause(text: str) -> Clause:
    match = _CLAUSE.fullmatch(text.lower())
    if match is None:
        raise IsobenchError(f"{text!r} is not a promise", hint=_HINT)
    measure, number, unit = match.groups()
    if measure not in MEASURES or (unit == "%") != (measure == ERRORS):
        raise IsobenchError(f"{text!r} is not a promise", hint=_HINT)
    limit = float(number) / 100 if unit == "%" else float(number) * _US[unit]
    most = 1.0 if measure == ERRORS else LONGEST_US
    if not 0 < limit <= most:
        raise IsobenchError(
            f"the limit of {text!r} is out of range",
            hint="choose a latency above 0 and up to 10s, or errors above 0% and up to 100%",
        )
    return Clause(measure, limit)
