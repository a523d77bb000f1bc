"""Does a bound that failed fail again? Pure: values of fresh runs in, a judgement out.

Strategy
========

A comparison of two runs cannot tell the change from whatever else changed between their hours. So
what failed is measured again, and judged by the fresh values alone.

**Interleaved**, where both versions can be run: in each round one run of either, which goes first
alternating. A round gives the ratio NEW/BASE of two runs that are seconds apart; the replicates are
the rounds, and the one-sided p-value of the bound is Student's of their logarithms, adjusted (Holm)
for all that is measured again. Noise of the host falls on both versions by turns: it widens the
interval, and does not favour one. So what is confirmed is confirmed on any host.

**Repeated**, where only NEW can be run: its fresh blocks against the recorded ones of BASE (Welch).
BASE is from another hour, and what changed on the host since then still counts as a difference. So
signs of an erratic host take precedence over what seems confirmed.

**Signs of an erratic host** are other work in more than a fifth of the trials (`interference`), a
processor whose speed, probed before each run, differs by more than a quarter between runs, or of
which others take more than a twentieth, and, where NEW was repeated, NEW itself: if it differs from
its own first run by more than the bound, then the host has changed and not the code.

**Three answers.** Confirmed: the bound fails again, with confidence. Refuted: the whole interval is
on the good side of it. Undecided: the interval holds the bound.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.errors import IsobenchError
from harness.host.interference import FOREIGN_LIMIT, SPIN_LIMIT
from harness.results.comparison.thresholds import LEVEL, Bound
from harness.results.conditions import Condition
from harness.results.summary import DISTURBED_LIMIT
from harness.stats.intervals import Interval, LogRatio, unpaired_ratio
from harness.stats.significance import holm

FILE: Final = "confirm.json"
"""In the folder of the runs that were made again: what they have shown, empty until then."""
FEWEST_ROUNDS: Final = 3
ROUNDS: Final = 6


class Verdict(enum.StrEnum):
    """What became of a bound that had failed."""

    CONFIRMED = "confirmed"
    REFUTED = "not confirmed"
    UNDECIDED = "undecided"


class Outcome(enum.IntEnum):
    """What became of all of them, as the command's exit code."""

    PASSED = 0
    FAILED = 1
    ERRATIC = 3


@dataclass(frozen=True)
class Failed:
    """A bound that failed in the comparison of two runs, and where."""

    bound: Bound
    target: str
    condition: Condition
    ratio: Interval


@dataclass(frozen=True)
class Again:
    """A failed bound after it was measured again; `p_value` is adjusted."""

    failed: Failed
    ratio: Interval
    p_value: float
    verdict: Verdict


@dataclass(frozen=True)
class Probe:
    """The host just before a run: seconds of a fixed calculation, and the share others took."""

    took_s: float
    away: float


@dataclass(frozen=True)
class Confirmation:
    """What measuring again has shown. `signs` are those of an erratic host, in words.

    `others` says where another isobench measured again than at first.
    """

    interleaved: bool
    rounds: int
    again: tuple[Again, ...]
    signs: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Whether the failure stands, or cannot be judged on this host."""
        verdicts = {one.verdict for one in self.again}
        if Verdict.CONFIRMED in verdicts and (self.interleaved or not self.signs):
            return Outcome.FAILED
        if self.signs and verdicts - {Verdict.REFUTED}:
            return Outcome.ERRATIC
        return Outcome.PASSED


def paired(ratios: Sequence[float]) -> LogRatio:
    """Return the mean of one ratio a round. Raises IsobenchError for fewer than two."""
    if len(ratios) < 2:
        raise IsobenchError(
            "fewer than two rounds have a valid value, so nothing can be confirmed",
            hint="see first_error in the trials.parquet of the runs that were made",
        )
    logs = np.log(np.asarray(ratios, dtype=np.float64))
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return LogRatio(float(logs.mean()), error, len(logs) - 1)


def judge(failed: Sequence[Failed], ratios: Sequence[LogRatio]) -> tuple[Again, ...]:
    """Return what became of each failed bound, from its fresh ratio."""
    adjusted = holm([one.bound.p_value(ratio) for one, ratio in zip(failed, ratios, strict=True)])
    return tuple(
        Again(one, ratio.interval(), p_value, _verdict(one.bound, ratio.interval(), p_value))
        for one, ratio, p_value in zip(failed, ratios, adjusted, strict=True)
    )


def _verdict(bound: Bound, ratio: Interval, p_value: float) -> Verdict:
    if p_value <= LEVEL:
        return Verdict.CONFIRMED
    limit = 1 + bound.percent / 100
    good = ratio.high < limit if bound.above else ratio.low > limit
    return Verdict.REFUTED if good else Verdict.UNDECIDED


def signs_of_host(probes: Sequence[Probe], disturbed: int, trials: int) -> Iterator[str]:
    """Yield what says that the host was erratic, in words."""
    if trials and disturbed > DISTURBED_LIMIT * trials:
        yield f"other work disturbed {disturbed} of {trials} trials"
    times = [probe.took_s for probe in probes]
    if times and max(times) > SPIN_LIMIT * min(times):
        yield (
            f"the processor was {max(times) / min(times):.1f} times slower before one run than "
            "before another"
        )
    away = float(np.median([probe.away for probe in probes])) if probes else 0.0
    if away > FOREIGN_LIMIT:
        yield f"others took {away:.0%} of the processor between the runs"


def sign_of_itself(one: Failed, again: Sequence[float], first: Sequence[float]) -> str | None:
    """Return in words that a version differs from itself by more than the bound, if it does.

    `again` and `first` are the blocks of the same version, measured at two times.
    """
    ratio = unpaired_ratio(again, first)
    if math.isnan(ratio.error):
        return None
    limit = max(1 + one.bound.percent / 100, 1 / (1 + one.bound.percent / 100))
    if min(ratio.p_not_above(limit), ratio.p_not_below(1 / limit)) > LEVEL:
        return None
    moved = math.exp(ratio.mean) - 1
    return (
        f"NEW itself, measured again, differs by {moved:+.0%} in {one.bound.metric} of {one.target}"
    )
