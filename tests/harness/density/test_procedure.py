"""What a density study measures, and what it leaves out."""

import pytest

from harness.density.procedure import (
    Procedure,
    asked_by,
    parse_tenants,
    steps,
    why_too_large,
)
from harness.errors import IsobenchError
from workloads.errors import WorkloadError


def test_numbers_of_tenants_are_read_in_ascending_order_and_once() -> None:
    assert parse_tenants("100,1,10,10") == (1, 10, 100)


@pytest.mark.parametrize("text", ["", "1,,2", "ten", "-1", "1.5"])
def test_what_is_no_number_of_tenants_is_refused(text: str) -> None:
    with pytest.raises(IsobenchError, match="is not a list of numbers"):
        parse_tenants(text)


@pytest.mark.parametrize("number", [0, 10_001])
def test_numbers_out_of_bounds_are_refused(number: int) -> None:
    with pytest.raises(IsobenchError, match=f"--tenants {number} is out of range"):
        Procedure(tenants=(number,))


def test_an_unknown_popularity_is_refused() -> None:
    with pytest.raises(WorkloadError, match="unknown popularity"):
        Procedure(popularities=("some",))


def test_who_is_asked_follows_from_the_seed() -> None:
    few, many = asked_by(100, "zipf:1", 7, 10), asked_by(100, "zipf:1", 7, 5000)
    assert few <= many
    assert 1 <= len(few) <= 10
    assert asked_by(10, "uniform", 7, 5000) == set(range(10))


def test_a_target_that_would_not_fit_is_left_out_with_the_reason() -> None:
    points = [(1, 20.0), (10, 38.0), (100, 218.0)]
    assert why_too_large(points, 1000, available_mib=4000) is None
    reason = why_too_large(points, 1000, available_mib=1000)
    assert reason == "would take 2.0 GiB, and 1.0 GiB are free"


@pytest.mark.parametrize("points", [[], [(1, 20.0)], [(1, 20.0), (1, 21.0)]])
def test_nothing_is_left_out_before_the_cost_of_a_tenant_is_known(
    points: list[tuple[int, float]],
) -> None:
    assert why_too_large(points, 1000, available_mib=1) is None


def test_the_largest_numbers_come_last() -> None:
    assert steps(Procedure(tenants=(1, 10)), ["a", "b"]) == [
        *((1, "a"), (1, "b"), (10, "a"), (10, "b"))
    ]
