"""A round's number is what is replicated; what a row says of it."""

from dataclasses import asdict

import pytest

from harness.costs.samples import Facts, Sample, Subject, rows
from harness.results import schema
from harness.stats.intervals import geometric_interval

FORK = Subject("creation", "fork", "10 MiB", heap_mib=10, pages="small")


def test_a_subject_gets_one_row_from_its_rounds() -> None:
    values = [90.0, 100.0, 120.0]
    (row,) = rows(Sample(FORK, number, value, 7) for number, value in enumerate(values, start=1))
    expected = geometric_interval(values)
    assert (row.low_us, row.value_us, row.high_us) == (expected.low, expected.mid, expected.high)
    assert (row.rounds, row.repetitions) == (3, 21)


def test_subjects_keep_the_order_in_which_they_came() -> None:
    other = Subject("load", "perl", "to exit")
    samples = [Sample(one, number, 5.0, 1) for number in (1, 2) for one in (other, FORK)]
    assert [row.subject for row in rows(samples)] == [other, FORK]


def test_facts_are_means_of_the_rounds_that_know_them() -> None:
    facts = [Facts(page_faults=10, call_us=4), Facts(page_faults=20), Facts()]
    (row,) = rows(Sample(FORK, 1, 5.0, 1, one) for one in facts)
    assert row.facts == Facts(page_faults=15, call_us=4)


def test_what_took_no_time_that_the_clock_could_tell_has_a_row_too() -> None:
    module = Subject("import", "_stat", "hello", place=3, depth=1)
    (row,) = rows(Sample(module, number, value, 1) for number, value in ((1, 0), (2, 3), (3, 1)))
    assert (row.low_us, row.value_us, row.high_us) == (0, 1, 3)


@pytest.mark.parametrize(
    ("subject", "group"),
    [(FORK, "process"), (Subject("load", "perl", "to exit"), "interpreter")],
)
def test_a_row_has_the_columns_of_the_table(subject: Subject, group: str) -> None:
    (row,) = rows([Sample(subject, 1, 5.0, 1)])
    content = asdict(row.row())
    assert schema.to_table("costs", [content]).num_rows == 1
    assert content["group"] == group
