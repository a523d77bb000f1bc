"""The whole procedure of a default run, a thousand times, on a host whose speed jumps.

Simulated are the host, the servers and what each slice of time makes of them. The rest is the code
of a run: the timetable, the ratio of each block, when to look and when to stop, the interval.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from harness.plan.interleaving import Interleaving, interleave, pace
from harness.plan.stopping import is_precise
from harness.results.conditions import Condition, Key
from harness.stats.interleaved import Portions
from harness.stats.intervals import Interval, geometric_interval
from harness.stats.shared_speed import relative_rates

Numbers = NDArray[np.float64]

RUNS = 1_000
MOST_BLOCKS = 20
AIM = 0.05
SLOWER, SHORTEST_DWELL_S, LONGEST_DWELL_S = 1.8, 0.1, 10.0
RATES = {"dso": 5000.0, "ruid2": 3500.0, "harache": 450.0, "suexec": 60.0, "cgi": 40.0}
START_SCATTER = 0.015
"""The scatter of one and the same server between starts (Kalibera and Jones 2013)."""
REQUEST_SCATTER = 0.5
"""The standard deviation of a service time, as a share of it."""

CONDITION = Condition("hello", "closed:8", "close", 10, "uniform")
NOBODY = np.empty(0, dtype=bool)
KEYS: dict[str, Key] = {name: (name, CONDITION) for name in RATES}
PACES = [pace(rate, users=8) for rate in RATES.values()]
TIMETABLES = [interleave(PACES, 0, 0.6, 0.1, str(seed)) for seed in range(25)]


def slices_of(timetable: Interleaving, place: int) -> tuple[Numbers, Numbers]:
    """Return when each measured slice of a target begins and ends."""
    own = [one for one in timetable.of(place) if one.begin_s >= timetable.measured_from_s]
    begins = np.array([one.begin_s for one in own])
    return begins, begins + [one.length_s for one in own]


SLICES = [[slices_of(timetable, place) for place in range(len(RATES))] for timetable in TIMETABLES]


class Host:
    """A processor that has two speeds, and keeps each for some time, drawn log-uniformly."""

    def __init__(self, seconds: float, random: np.random.Generator) -> None:
        """Draw the changes of speed for so many seconds."""
        low, high = np.log(SHORTEST_DWELL_S), np.log(LONGEST_DWELL_S)
        dwells = np.exp(random.uniform(low, high, size=int(seconds / SHORTEST_DWELL_S) + 1))
        speeds = np.where((np.arange(len(dwells)) + random.integers(2)) % 2, 1.0, 1 / SLOWER)
        late = random.uniform(0, dwells[0])  # the run does not begin with a change
        self._at = np.concatenate([[0.0], np.cumsum(dwells) - late])
        self._at[0] = -late
        self._done = np.concatenate([[0.0], np.cumsum(dwells * speeds)])

    def work(self, begins: Numbers, ends: Numbers) -> Numbers:
        """Return the seconds of work at full speed that fit between these moments."""
        return np.asarray(
            np.interp(ends, self._at, self._done) - np.interp(begins, self._at, self._done)
        )


def block(number: int, random: np.random.Generator) -> dict[str, float]:
    """Return the ratios of one block by a timetable, in which every server is started anew."""
    host = Host(TIMETABLES[number].measured_to_s, random)
    seen = {}
    for (begins, ends), (name, rate) in zip(SLICES[number], RATES.items(), strict=True):
        mean = rate * np.exp(random.normal(0, START_SCATTER)) * host.work(begins, ends)
        done = np.maximum(1.0, random.normal(mean, REQUEST_SCATTER * np.sqrt(mean)))
        seen[name] = Portions(begins, ends, done, 0.0, NOBODY, NOBODY, 0.0, 0.0)
    ratios = relative_rates(list(seen.values()), baseline=0)
    return {name: ratio for name, ratio in zip(seen, ratios, strict=True) if name != "dso"}


def run(random: np.random.Generator) -> dict[str, Interval]:
    """Make blocks until the run stops itself; return its intervals."""
    known: dict[Key, list[float]] = {KEYS[name]: [] for name in RATES if name != "dso"}
    blocks = 0
    while blocks < MOST_BLOCKS and not (blocks and is_precise(known, AIM, blocks)):
        number = int(random.integers(len(TIMETABLES)))
        for name, ratio in block(number, random).items():
            known[KEYS[name]].append(ratio)
        blocks += 1
    return {target: geometric_interval(values) for (target, _), values in known.items()}


@pytest.fixture(scope="module")
def runs() -> list[dict[str, Interval]]:
    random = np.random.default_rng(16)
    return [run(random) for _ in range(RUNS)]


def test_intervals_hold_the_truth_as_often_as_they_say(runs: list[dict[str, Interval]]) -> None:
    """Of all 4,000 intervals; a target's own thousand are allowed chance as well."""
    held = {
        name: sum(one[name].low <= rate / RATES["dso"] <= one[name].high for one in runs)
        for name, rate in RATES.items()
        if name != "dso"
    }
    widths = {name: float(np.median([one[name].width for one in runs])) for name in held}
    print({name: (held[name] / RUNS, f"±{widths[name]:.1%}") for name in held})
    assert 0.93 <= sum(held.values()) / (RUNS * len(held)) <= 0.97
    for count in held.values():
        assert stats.binom.cdf(count, RUNS, 0.93) > 0.001
    assert all(width < 2 * AIM for width in widths.values())
