"""What is overloaded, and which quantiles are lower bounds."""

import math

from harness.results.overload import is_lower_bound, overloaded


def test_who_answers_less_than_was_offered_is_overloaded() -> None:
    assert overloaded(92.0, 199.0)
    assert not overloaded(96.0, 100.0)
    assert not overloaded(105.0, 100.0)


def test_of_a_closed_load_nothing_is_known() -> None:
    assert not overloaded(92.0, math.nan)
    assert not is_lower_bound(6000.0, math.nan)


def test_only_quantiles_as_long_as_the_wait_are_in_doubt() -> None:
    assert is_lower_bound(5000.0, 1)
    assert not is_lower_bound(4999.0, 1)
    assert not is_lower_bound(6000.0, 0)
    assert not is_lower_bound(math.nan, 1)
