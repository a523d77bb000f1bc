"""Which tenants have series, and that no series ever falls."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.ledger import Ledger
from harness.metrics.tally import Counts


def counts(*requests: int) -> Counts:
    """Return counts of one class and one other column; the last row is for no site."""
    return np.array([[number, 10 * number] for number in requests], dtype=np.int64)


def ledger(sites: int, seats: int) -> Ledger:
    return Ledger(sites, seats, classes=1, columns=2)


def test_where_there_are_seats_for_all_everybody_has_one() -> None:
    book = ledger(sites=2, seats=2)
    book.look(counts(3, 0, 1))
    assert book.seated == [0, 1]
    assert not book.has_others
    assert [book.of(place).tolist() for place in (0, 1)] == [[3, 30], [0, 0]]
    assert book.none.tolist() == [1, 10]


def test_vacant_seats_go_to_the_busiest_and_the_rest_counts_as_others() -> None:
    book = ledger(sites=4, seats=2)
    book.look(counts(1, 7, 0, 5, 0))
    assert book.seated == [1, 3]
    assert book.others.tolist() == [1, 10]


def test_a_seat_changes_hands_only_to_one_with_more_than_twice_as_much() -> None:
    book = ledger(sites=2, seats=1)
    book.look(counts(4, 0, 0))
    book.look(counts(4, 8, 0))
    assert (book.seated, book.others.tolist()) == ([0], [8, 80])
    book.look(counts(5, 11, 0))
    assert book.seated == [1]
    assert book.of(1).tolist() == [3, 30]  # since it has the seat
    assert book.others.tolist() == [9, 90]


def test_what_falls_or_leaps_was_falsified_and_counts_as_nothing() -> None:
    book = ledger(sites=1, seats=1)
    book.look(counts(5, 0))
    book.look(counts(2, 0))
    book.look(counts(1 << 50, 0))
    assert book.of(0).tolist() == [5, 50]


def test_no_tenant_has_a_series_where_there_is_no_seat() -> None:
    book = ledger(sites=2, seats=0)
    book.look(counts(3, 4, 0))
    assert (book.seated, book.others.tolist()) == ([], [7, 70])


@given(
    st.lists(st.lists(st.integers(0, 50), min_size=4, max_size=4), max_size=20), st.integers(0, 4)
)
def test_series_never_fall_and_add_up_to_all(steps: list[list[int]], seats: int) -> None:
    book = ledger(sites=3, seats=seats)
    total = np.zeros(4, dtype=np.int64)
    for step in steps:
        before = [*(int(book.of(place)[0]) for place in range(3)), int(book.others[0])]
        total = total + np.array(step)
        book.look(counts(*total.tolist()))
        after = [*(int(book.of(place)[0]) for place in range(3)), int(book.others[0])]
        assert all(new >= old for new, old in zip(after, before, strict=True))
        assert sum(after) + int(book.none[0]) == total.sum()
        assert len(book.seated) <= max(seats, 0)
