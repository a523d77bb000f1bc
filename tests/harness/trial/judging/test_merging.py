"""Several generators' parts become one trial: exactly, or void with the reason."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from harness.results.rows import TrialRow
from harness.stats.histogram import Histogram
from harness.target.probes import Reading
from harness.target.server import ServerUsage
from harness.trial.judging import merging
from harness.trial.outcome import Trial

ROW = TrialRow(
    trial="001/dso/hello/closed:4/close", block=1, position=1, target="dso", kind="mode",
    runs_as="server", workload="hello", load="closed:4", connection="close", tenants=3,
    popularity="uniform", started_at="", verdict="void: not made",
)  # fmt: skip
LINK = {"before_us": 200.0, "during_us": 250.0, "after_us": 210.0, "segments": 4000, "again": 0}


def part(latencies_us: Any = (1000.0,) * 100, **changes: Any) -> dict[str, Any]:
    return {
        "host": "a", "asked_first": 3, "requests_total": 110, "errors": 0, "sent": 112,
        "verified": 110, "retries": 0, "evidence": None, "window_s": 1.0, "generator_cpu_s": 0.2,
        "completed": len(latencies_us), "sum_us": float(np.sum(latencies_us)),
        "service": Histogram.of(latencies_us).to_text(), "link": LINK, **changes,
    }  # fmt: skip


def reading(at: float, cpu_s: float) -> Reading:
    usage = ServerUsage(0, cpu_s, 0.0, 0.0, 10)
    return Reading(at=at, server=usage, cgroup_cpu_s=cpu_s, host_forks=0, steal_s=0.0, total_s=at)


FIRST, LAST = reading(500.0, 1.0), reading(502.0, 1.6)
"""By a clock that has nothing to do with those of the generators."""


def merged(*parts: dict[str, Any]) -> Trial:
    return merging.merged(ROW, parts, FIRST, LAST)


def test_rates_are_added_each_by_its_own_window() -> None:
    row = merged(part(window_s=1.0), part(window_s=2.0)).row
    assert row.requests_per_second == pytest.approx(100 + 50)
    assert (row.verdict, row.requests, row.sent) == ("ok", 200, 224)


def test_quantiles_are_those_of_all_latencies_together() -> None:
    quick, slow = [1000.0] * 99 + [2000.0], [50_000.0] * 25
    trial = merged(part(quick), part(slow))
    whole = Histogram.of([*quick, *slow])
    assert trial.row.p99_ms == whole.quantile(0.99) / 1000
    assert trial.row.p50_ms == whole.quantile(0.5) / 1000
    # And what is stored is the same, bucket by bucket.
    stored = Histogram.of(trial.latencies_us)
    assert stored.values_us.tolist() == whole.values_us.tolist()
    assert stored.counts.tolist() == whole.counts.tolist()
    assert trial.row.mean_ms == pytest.approx((101_000 + 25 * 50_000) / 125 / 1000)


def test_cpu_time_is_divided_by_the_rate_of_all() -> None:
    row = merged(part(), part()).row
    assert row.server_cpu_us_per_request == pytest.approx(0.6 / 2 / 200 * 1e6)


def test_the_busiest_generator_is_the_one_that_counts() -> None:
    assert merged(part(), part(generator_cpu_s=0.9)).row.generator_cpu_share == 0.9


def test_an_open_load_counts_from_the_intended_times() -> None:
    times = {
        "response": Histogram.of([9000.0] * 100).to_text(), "offered": 100, "late": 3,
        "late_worst_ms": 8.0, "dropped": 1, "sum_us": 900_000.0,
    }  # fmt: skip
    trial = merged(part(**times), part(**{**times, "late_worst_ms": 2.0}))
    row = trial.row
    assert (row.offered_per_second, row.late, row.dropped) == (200, 6, 2)
    assert row.late_worst_ms == 8.0
    assert row.p50_ms == pytest.approx(9.0, rel=1e-3)
    assert len(trial.response_us) == 200


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ({"after_us": 1e9}, "was cut"),
        ({"after_us": 40_000.0}, "became slow: a round trip took 0.20 ms before, and 40.00 ms"),
        ({"during_us": 90_000.0}, "became slow: a round trip took 0.20 ms before, and 90.00 ms"),
        ({"again": 80}, "lost packets: 80 of 4000 TCP segments were sent again"),
    ],
)
def test_a_link_that_changed_makes_a_trial_void(link: dict[str, float], words: str) -> None:
    row = merged(part(), part(host="b", link={**LINK, **link})).row
    start = "void: the network between the load generator on b and the server "
    assert row.verdict.startswith(start + words)
    assert row.requests_per_second is None


def test_a_little_jitter_is_no_trouble() -> None:
    jitter = {"during_us": 4000.0, "after_us": 900.0, "again": 2}
    assert merged(part(link={**LINK, **jitter})).row.verdict == "ok"


def test_a_wrong_answer_to_one_generator_makes_the_trial_void() -> None:
    evidence = {"reason": "wrong uid", "tenant": "t0001", "status": 200, "body": ""}
    row = merged(part(), part(errors=2, evidence=evidence)).row
    assert row.verdict == "void: 2 wrong answers, first: wrong uid"


def test_without_an_answer_a_trial_is_void() -> None:
    assert merged(part([], completed=0)).row.verdict.startswith("void: no request was answered")


def test_the_server_must_have_counted_what_all_generators_got() -> None:
    parts = [part(), part()]
    good = merging.checked(merged(*parts), parts, merging.least_served(parts))
    assert (good.row.verdict, good.row.self_checks) == ("ok", "passed")
    bad = merging.checked(merged(*parts), parts, 12)
    assert bad.row.verdict.startswith("void: a self-check failed: the client has 226 answers")


def test_eight_generators_are_merged_in_less_than_a_second() -> None:
    chance = np.random.default_rng(3)
    parts = [part(chance.lognormal(7, 1, 20_000)) for _ in range(8)]
    began = time.process_time()
    merged(*parts)
    assert time.process_time() - began < 1
