"""Which tests may run beside which."""

from pathlib import Path

import pytest

from tests.conftest import SECONDS, group_of, seconds_of

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("tests/servers/http/test_authority.py::test_a[b::c]", "servers"),
        ("tests/harness/commands/test_run.py::test_a", "tests/harness/commands/test_run.py"),
        ("tests/harness/plan/test_plan.py::test_a", "tests/harness/plan/test_plan.py"),
        ("tests/reports/test_page.py::test_a", "tests/reports/test_page.py"),
    ],
)
def test_tests_whose_servers_have_the_same_uids_follow_one_another(test: str, group: str) -> None:
    assert group_of(test) == group


def test_what_takes_long_counts_for_more() -> None:
    run = "tests/harness/commands/test_run.py::test_a"
    assert seconds_of([run]) > seconds_of(["tests/harness/plan/test_plan.py::test_a"] * 2)


@pytest.mark.parametrize("place", SECONDS)
def test_what_is_said_to_take_long_exists(place: str) -> None:
    assert (ROOT / place).exists()
