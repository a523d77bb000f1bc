"""What a load says of a promise, and when the generator is to blame."""

from __future__ import annotations

import numpy as np
import pytest

from harness.slo.account import account, judge, own_delays_us, wrong_answer
from harness.slo.promise import Times, parse
from harness.slo.search import Look
from tests.harness.slo.simulated import done

PROMISE = parse("p99 < 50ms")


def rows(count: int = 200, service_ms: float = 2.0, own_delay_ms: float = 0.0) -> Times:
    """Return requests that are due every 5 ms from 0 on and sent with a delay."""
    intended = np.arange(count) * 0.005
    sent = intended + own_delay_ms / 1000
    return np.column_stack([sent + service_ms / 1000, [service_ms * 1000] * count, intended])


def said(rows: Times, text: str = "p99 < 50ms", **more: object) -> Look:
    look, _ = judge(parse(text), account(rows, done(0.1, 0.9, **more), 64))
    return look


def test_quick_answers_keep_the_promise() -> None:
    load = account(rows(), done(0.1, 0.9), 64)
    assert (len(load.response_us), load.dropped, load.grown) == (160, 0, False)
    assert judge(PROMISE, load)[0] is Look.KEPT


def test_slow_answers_break_it() -> None:
    assert said(rows(service_ms=60.0)) is Look.BROKEN


def test_a_generator_that_sends_late_is_to_blame_itself() -> None:
    assert said(rows(own_delay_ms=60.0)) is Look.BOUND
    assert said(rows(own_delay_ms=60.0, service_ms=60.0)) is Look.BROKEN


def test_a_generator_without_processor_time_is_to_blame() -> None:
    late = rows(service_ms=60.0)
    assert said(late, generator_cpu_s=0.5, generator_waited_s=0.25) is Look.BOUND
    # Whatever it did, users had their answers in time.
    assert said(rows(), generator_cpu_s=0.8) is Look.KEPT


def test_to_wait_for_a_connection_is_the_servers_fault() -> None:
    """One connection, and each request takes longer than the next one's coming."""
    count, service_s = 100, 0.01
    intended = np.arange(count) * 0.005
    completed = (np.arange(count) + 1) * service_s
    slow = np.column_stack([completed, [service_s * 1e6] * count, intended])
    assert own_delays_us(slow, 1) == pytest.approx(np.zeros(count), abs=1e-3)
    assert own_delays_us(slow, 64).max() > 100_000


def test_a_queue_that_grows_breaks_any_promise() -> None:
    """No request is answered late yet, by a promise of 10 s, but ever fewer are answered."""
    growing = rows()
    growing[:, 0] = growing[:, 2] * 1.2 + 0.002
    growing[:, 1] = (growing[:, 0] - growing[:, 2]) * 1e6
    assert said(growing, "p99 < 10s") is Look.BROKEN


def test_requests_without_an_answer_count() -> None:
    lost = rows()
    lost[50:60, 1] = np.nan
    assert said(lost) is Look.BROKEN
    assert account(lost, done(0.1, 0.9), 64).dropped == 10
    assert said(lost, "p50 < 50ms") is Look.BROKEN
    assert said(lost, "p50 < 50ms and errors < 1%") is Look.BROKEN


def test_errors_are_allowed_as_far_as_the_promise_says() -> None:
    assert said(rows(), errors=1) is Look.BROKEN
    assert said(rows(), "p99 < 50ms and errors < 1%", errors=1) is Look.KEPT
    assert said(rows(), "p99 < 50ms and errors < 1%", errors=3) is Look.BROKEN


def test_an_answer_that_is_somebody_elses_proves_the_search_worthless() -> None:
    reason = {"reason": "it ran as uid 33", "status": 200}
    assert wrong_answer(done(0, 1, errors=2, evidence=reason)) == (
        "2 wrong answers, first: it ran as uid 33"
    )
    assert wrong_answer(done(0, 1, errors=2, evidence={"reason": "x", "status": 503})) is None
    assert wrong_answer(done(0, 1, errors=2, evidence={"reason": "x", "status": None})) is None
    assert wrong_answer(done(0, 1)) is None
