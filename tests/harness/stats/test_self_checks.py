"""The identities that hold of every trial, and what it looks like when they do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.self_checks import Closed, Counts, little, miscounts

RIGHT = Counts(served=118, asked_first=10, answered=100, sent=108, sent_again=0, verified=100)


@pytest.mark.parametrize("served", [110, 114, 118])
def test_what_was_outstanding_at_the_end_may_have_been_served_or_not(served: int) -> None:
    assert list(miscounts(replace(RIGHT, served=served))) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"served": 109}, "the client has 110 answers, but the server served 109"),
        ({"served": 119}, "the server served 119 requests, but the client sent 118"),
        ({"verified": 99}, "100 replies were counted as right, but 99 were verified"),
        ({"verified": 101}, "100 replies were counted as right, but 101 were verified"),
    ],
)
def test_one_request_too_many_or_too_few_is_found(changes: dict[str, int], said: str) -> None:
    (found,) = miscounts(replace(RIGHT, **changes))
    assert found.startswith(said)


def test_what_was_sent_again_may_have_been_served() -> None:
    assert list(miscounts(replace(RIGHT, served=119, sent_again=1))) == []


def test_what_is_not_known_is_not_checked() -> None:
    assert list(miscounts(replace(RIGHT, served=500, sent_again=None, verified=None))) == []


@given(
    users=st.integers(1, 64),
    latency_s=st.floats(1e-4, 0.02),
    rest_s=st.floats(0, 1e-4),
)
def test_users_in_a_closed_loop_obey_little(users: int, latency_s: float, rest_s: float) -> None:
    per_second = users / (latency_s + rest_s)
    # The generator's CPU time a request holds the rest, and what sending and receiving cost.
    load = Closed(users, per_second, latency_s, latency_s, client_s=rest_s + 2e-5, window_s=2.0)
    assert little(load) == ""


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_latencies_that_are_wrong_by_a_fifth_contradict_it(factor: float) -> None:
    load = Closed(8, 1000.0, 0.008 * factor, 0.02, client_s=3e-5, window_s=2.0)
    assert little(load).startswith("Little's law: 8 users, but rate times latency makes ")


def test_what_the_window_cuts_off_is_allowed_for() -> None:
    # Eight users, half a second each: up to a quarter of two seconds may lie beyond the edges.
    short = Closed(8, 13.0, 0.5, longest_s=0.5, client_s=3e-5, window_s=2.0)
    assert little(short) == ""
    assert little(replace(short, window_s=200.0))
