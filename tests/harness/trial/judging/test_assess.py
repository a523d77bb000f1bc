"""Judging a trial: what counts, and what is void. Nothing is started here."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.plan.interleaving import Slice
from harness.plan.loads import Closed
from harness.plan.plan import Plan
from harness.stats.interleaved import Portions
from harness.target.probes import Reading
from harness.target.server import ServerUsage
from harness.trial.judging.assess import assess, assess_interleaved
from harness.trial.outcome import Latencies, Seen
from tests.harness.folders import ROW as BARE

PLAN = Plan(
    targets=("dso",), loads=(Closed(2),), workers=2, tenants=1, blocks=9, seconds=0.2, warmup_s=0.1
)
SPECS = list(PLAN.trials())

ROW = replace(BARE, tenants=2, verdict="void: not made", requests_per_second=None)


def reading(at: float, served: int, cpu_s: float) -> Reading:
    usage = ServerUsage(
        served=served, cpu_s=cpu_s, page_faults=served, context_switches=2.0 * served,
        processes_made=None,
    )  # fmt: skip
    return Reading(
        at=at, server=usage, cgroup_cpu_s=cpu_s, host_forks=served, steal_s=0.0, total_s=at
    )


FIRST, LAST = reading(10.0, 100, 1.0), reading(12.0, 104, 1.5)
DONE: dict[str, Any] = {
    "sent": 9, "errors": 0, "evidence": None, "generator_cpu_s": 0.5,
    "generator_waited_s": 0.0, "window": [9.9, 12.1]
}  # fmt: skip


def rows(*ends_at: float) -> Latencies:
    return np.array([(end, 1000.0 * (1 + number)) for number, end in enumerate(ends_at)])


def test_what_counts_lies_between_the_two_readings() -> None:
    trial = assess(ROW, DONE, rows(9.95, 10.0, 10.5, 11.0, 11.9, 12.0, 12.05), FIRST, LAST)
    assert trial.latencies_us.tolist() == [2000, 3000, 4000, 5000]
    row = trial.row
    assert (row.verdict, row.requests, row.measured_s) == ("ok", 4, 2.0)
    assert (row.requests_per_second, row.mean_ms, row.p50_ms, row.max_ms) == (2.0, 3.5, 3.5, 5.0)
    assert row.server_cpu_us_per_request == pytest.approx(125_000)
    assert (row.forks_per_request, row.context_switches_per_request) == (1.0, 2.0)
    assert row.generator_cpu_share == pytest.approx(0.5 / 2.2)


def test_the_generators_share_is_of_the_time_in_which_it_sent() -> None:
    """Of two slices of 1 s the first halves are left out; the generator worked in these as well."""
    ends_at = rows(10.2, 10.8, 11.2, 11.8)
    every = np.ones(len(ends_at), dtype=bool)
    own = Portions(
        begin=np.array([10.5, 11.5]), end=np.array([11.0, 12.0]), requests=np.array([1.0, 1.0]),
        left_out_s=0.5, counted=every, whole=every, occupied_s=2.0, sending_s=2.0,
    )  # fmt: skip
    slices = tuple(Slice(0, begin_s, 1.0) for begin_s in (10.0, 11.0))
    seen = Seen(SPECS[0], ROW, DONE | {"requests": 4}, ends_at, FIRST, LAST, slices)
    row = assess_interleaved(seen, own, None)[0].row
    assert (row.verdict, row.measured_s) == ("ok", 1.0)
    assert row.generator_cpu_share == pytest.approx(0.5 / 2.0)


NAN = float("nan")


def test_a_late_last_reading_does_not_lower_the_rate() -> None:
    """The users stop at 12.0; the harness, itself kept waiting, reads the probes at 12.5."""
    done = DONE | {"window": [9.9, 12.0]}
    late = replace(LAST, at=12.5)
    measured = rows(10.5, 11.0, 11.5, 12.01)  # the last was under way when the users stopped
    row = assess(ROW, done, measured, FIRST, late).row
    assert (row.requests, row.measured_s) == (3, 2.0)
    assert row.requests_per_second == pytest.approx(1.5)
    assert row.server_cpu_us_per_request == pytest.approx(0.5 / 4 * 1e6)
    assert assess(ROW, done, rows(12.01), FIRST, late).row.verdict.startswith("void: no request")


def test_times_of_an_open_load_count_from_the_intended_moment() -> None:
    done = DONE | {"window": [10.0, 12.0]}
    rows = np.array(
        [
            (10.5, 1000.0, 9.5),  # of the warm-up, and answered meanwhile
            (10.6, 1000.0, 10.5),
            (11.0, 2000.0, 10.5),
            (12.5, 3000.0, 11.5),  # answered after the window
            (17.0, NAN, 11.9),  # never answered
        ]
    )
    trial = assess(ROW, done, rows, FIRST, LAST)
    row = trial.row
    assert trial.latencies_us.tolist() == [1000.0, 2000.0, 3000.0]
    assert trial.response_us / 1e6 == pytest.approx([0.1, 0.5, 1.0, 5.1])
    assert (row.verdict, row.requests, row.dropped, row.late) == ("ok", 3, 1, 3)
    assert (row.requests_per_second, row.offered_per_second) == (1.5, 2.0)
    assert row.late_worst_ms == pytest.approx(997)
    assert row.p50_ms == pytest.approx(750)
    assert row.max_ms == pytest.approx(5100)
    assert row.server_cpu_us_per_request == pytest.approx(0.5 / 3 * 1e6)


def test_an_access_log_is_not_expected_to_settle() -> None:
    done = DONE | {"window": [10.0, 12.0]}
    at = np.concatenate([np.linspace(10, 11.8, 100), np.linspace(11.8, 12, 900)])
    rows = np.stack([at, np.full(1000, 1000.0), at], axis=1)
    steady = [
        assess(replace(ROW, load=load), done, rows, FIRST, LAST).row.steady
        for load in ("open:500", "open:log:60x:1a2b3c4d")
    ]
    assert steady == ["no", "not assessed"]


def test_a_stall_of_an_open_load_is_not_cut_off_like_a_start() -> None:
    intended = np.arange(9.5, 12.0, 0.002)
    completed = np.where((intended > 10.2) & (intended < 10.7), 10.7, intended) + 0.001
    rows = np.column_stack([completed, np.full(len(intended), 1000.0), intended])
    trial = assess(ROW, DONE | {"window": [10.0, 12.0]}, rows, FIRST, LAST)
    assert len(trial.response_us) == pytest.approx(1000, abs=1)
    assert (trial.row.measured_s, trial.row.discarded_s) == (2.0, 0.0)
    assert trial.row.p99_ms is not None
    assert trial.row.p99_ms > 400


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(10.5, 1000.0, 9.5)], "no request was to be sent in the measured window"),
        ([(12.5, 1000.0, 11.5)], "no request was answered in the measured window"),
        ([(17.0, NAN, 11.5)], "no request was answered in the measured window"),
    ],
)
def test_an_open_load_without_a_request_is_void(
    rows: list[tuple[float, float, float]], reason: str
) -> None:
    trial = assess(ROW, DONE | {"window": [10.0, 12.0]}, np.array(rows), FIRST, LAST)
    assert trial.row.verdict == f"void: {reason}"
    assert trial.row.requests_per_second is None


def test_one_wrong_answer_makes_a_trial_void_and_is_kept() -> None:
    evidence = {"reason": "it ran as uid 0", "status": 200, "body": "..."}
    done = DONE | {"errors": 1, "evidence": evidence}
    trial = assess(ROW, done, rows(10.5, 11.0), FIRST, LAST)
    assert trial.row.verdict == "void: 1 wrong answers, first: it ran as uid 0"
    assert trial.row.requests_per_second is None
    assert (trial.row.errors, trial.row.sent) == (1, 9)
    assert json.loads(trial.row.first_error or "") == evidence
    assert len(trial.latencies_us) == 0


def test_requests_without_an_answer_make_it_void_too() -> None:
    trial = assess(ROW, DONE | {"errors": 3}, rows(10.5), FIRST, LAST)
    assert trial.row.verdict == "void: 3 wrong answers, first: requests without an answer"


@pytest.mark.parametrize(
    ("aborts", "done", "ok"),
    [
        (2, {"errors": 2, "unanswered": 2}, True),
        (1, {"errors": 2, "unanswered": 2}, False),
        (2, {"errors": 2, "unanswered": 1}, False),
        (None, {"errors": 1, "unanswered": 1}, False),
    ],
)
def test_only_connections_that_broke_with_a_products_processes_are_no_fault_of_a_trial(
    aborts: int | None, done: dict[str, int], ok: bool
) -> None:
    row = replace(ROW, kind="peer", aborts=aborts)
    trial = assess(row, DONE | done, rows(10.5, 11.0), FIRST, LAST)
    assert (trial.row.verdict == "ok") is ok
    assert trial.row.errors == done["errors"]


def test_a_window_without_an_answer_is_void() -> None:
    trial = assess(ROW, DONE, np.empty((0, 2)), FIRST, LAST)
    assert trial.row.verdict == "void: no request was answered in the measured window"


STEADY_DONE: dict[str, Any] = DONE | {
    "asked_first": 2, "requests_total": 2400, "requests": 2000, "retries": 0, "verified": 2400,
    "sent": 2402, "window": [10.0, 12.0],
}  # fmt: skip


def loop(ends_at: NDArray[np.float64], users: int = 2) -> Latencies:
    """Return the rows of users who never rest and are answered in turn at these times."""
    began = np.concatenate([np.full(users, ends_at[0] - 0.001), ends_at[:-users]])
    return np.column_stack([ends_at, (ends_at - began) * 1e6])


def evenly(*stretches: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return times from each first to each second number, so many a second."""
    return np.concatenate(
        [np.arange(first, last, 1 / per_second) for first, last, per_second in stretches]
    )


def test_a_trial_that_settles_late_counts_from_there() -> None:
    slow_then_fast = loop(evenly((9.6, 10.4, 300), (10.4, 12.0, 2000)))
    trial = assess(ROW, STEADY_DONE, slow_then_fast, FIRST, LAST)
    row = trial.row
    assert row.steady == "yes"
    assert row.discarded_s == pytest.approx(0.4, abs=0.1)
    assert row.steady_from_s == pytest.approx(0.8, abs=0.1)
    assert row.requests_per_second == pytest.approx(2000, rel=0.02)
    assert row.measured_s == pytest.approx(2.0 - (row.discarded_s or 0.0))
    assert row.requests == len(trial.latencies_us)
    whole = np.count_nonzero((slow_then_fast[:, 0] >= 10.0) & (slow_then_fast[:, 0] < 12.0))
    assert row.server_cpu_us_per_request == pytest.approx(0.5 / whole * 1e6)


def test_a_trial_that_never_settles_says_so_and_counts_whole() -> None:
    row = assess(
        ROW, STEADY_DONE, loop(evenly((9.6, 11.5, 2000), (11.5, 12.0, 300))), FIRST, LAST
    ).row
    assert (row.steady, row.steady_from_s, row.discarded_s) == ("no", None, 0.0)
    assert (row.verdict, row.measured_s) == ("ok", 2.0)


def test_a_trial_that_falls_silent_is_not_measured_on_silence() -> None:
    ends = np.concatenate([evenly((9.6, 10.5, 2000)), [12.5]])
    row = assess(ROW, STEADY_DONE, loop(ends), FIRST, LAST).row
    assert row.verdict == "ok"
    assert row.requests == pytest.approx(1000, abs=1)
