"""Which tests may run beside which."""

from pathlib import Path

import pytest

from tests.conftest import BESIDE, group_of

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("tests/servers/http/test_authority.py::test_a[b::c]", "servers"),
        ("tests/harness/commands/test_run.py::test_a", "harness"),
        ("tests/harness/commands/test_costs.py::test_a", "tests/harness/commands/test_costs.py"),
        ("tests/harness/plan/test_plan.py::test_a", "tests/harness/plan/test_plan.py"),
        ("tests/reports/test_page.py::test_a", "tests/reports/test_page.py"),
    ],
)
def test_tests_that_start_servers_follow_one_another(test: str, group: str) -> None:
    assert group_of(test) == group


@pytest.mark.parametrize("place", BESIDE)
def test_what_may_run_beside_others_exists(place: str) -> None:
    assert (ROOT / place).exists()
