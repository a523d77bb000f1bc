"""Promises: how they are written, and whether requests keep them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import IsobenchError
from harness.slo.promise import parse


@pytest.mark.parametrize(
    ("text", "read", "requests"),
    [
        ("p99 < 50ms", "p99 < 50 ms", 1000),
        ("p99<50000us", "p99 < 50 ms", 1000),
        ("P99.9 < 1.5 s", "p99.9 < 1.5 s", 10_000),
        ("mean < 800us", "mean < 800 µs", 100),
        ("p50 < 1ms and p99 < 20ms", "p50 < 1 ms and p99 < 20 ms", 1000),
        ("max < 1s, errors < 0.1%", "max < 1 s and errors < 0.1%", 10_000),
    ],
)
def test_a_promise_is_read_and_says_how_many_requests_it_takes(
    text: str, read: str, requests: int
) -> None:
    promise = parse(text)
    assert str(promise) == read
    assert promise.requests == requests
    assert parse(str(promise)) == promise


@pytest.mark.parametrize(
    "text",
    [
        *("", "p99", "p99 < 50", "p99 > 50ms", "p95 < 50ms", "p99 < 5%", "errors < 5ms"),
        *("p99 < 50ms and", "p99 < 0ms", "p99 < 11s", "errors < 101%", "p99 < 1ms and p99 < 2ms"),
    ],
)
def test_what_is_no_promise_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(IsobenchError) as raised:
        parse(text)
    assert raised.value.hint


def test_a_share_of_requests_may_take_longer() -> None:
    promise = parse("p99 < 50ms")
    times = np.full(1000, 1_000.0)
    times[:10] = 90_000.0
    assert promise.judge(times, 0.0).is_kept
    times[10] = 90_000.0
    broken = promise.judge(times, 0.0)
    assert not broken.is_kept
    assert (broken.value, broken.margin) == (90_000.0, 1.8)


def test_the_clause_that_is_broken_most_is_named() -> None:
    promise = parse("p50 < 1ms and p99 < 20ms and errors < 10%")
    times = np.full(100, 3_000.0)
    finding = promise.judge(times, 0.05)
    assert (finding.clause.measure, finding.margin) == ("p50", 3.0)
    assert promise.judge(times, 0.5).clause.measure == "errors"


def test_a_request_without_an_answer_took_forever() -> None:
    times = np.array([1.0] * 50 + [math.inf] * 50)
    for text in ("p99 < 10s", "mean < 10s", "max < 10s"):
        finding = parse(text).judge(times, 0.0)
        assert not finding.is_kept
        assert finding.clause.text(finding.value) == "without end"
    assert parse("p50 < 1s").judge(times, 0.0).is_kept


def test_hopeless_is_what_chance_would_hardly_bring() -> None:
    promise = parse("p99 < 50ms")
    assert promise.is_hopeless(np.full(5, 80_000.0))
    assert not promise.is_hopeless(np.array([1_000.0] * 24 + [80_000.0]))
    assert not promise.is_hopeless(np.full(500, 1_000.0))
    assert parse("mean < 1ms").is_hopeless(np.full(5, 1_000.0))
    assert parse("max < 1ms").is_hopeless(np.full(5, 2_000.0))
    assert not parse("max < 1ms").is_hopeless(np.array([500.0] * 5 + [2_000.0]))
    assert not parse("errors < 1%").is_hopeless(np.full(5, 9e9))
