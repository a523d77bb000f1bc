"""Waiting ends with what was waited for, or in vain."""

from collections.abc import Iterator

from harness.host.polling import wait_until

LONG_S = 60.0


def test_what_comes_is_returned() -> None:
    looks: Iterator[str] = iter(["", "", "here", "later"])
    assert wait_until(lambda: next(looks), LONG_S, every_s=0) == "here"
    assert next(looks) == "later"


def test_what_is_there_already_is_not_waited_for() -> None:
    assert wait_until(lambda: [7], within_s=0, every_s=LONG_S) == [7]


def test_what_is_enough_is_for_the_caller_to_say() -> None:
    counts = iter(range(9))
    assert wait_until(lambda: next(counts), LONG_S, enough=lambda n: n >= 5, every_s=0) == 5


def test_the_last_look_tells_that_it_was_in_vain() -> None:
    assert wait_until(lambda: 0, within_s=0, every_s=LONG_S) == 0
    assert wait_until(set, within_s=0.01, every_s=0) == set()
