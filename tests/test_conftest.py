"""Which tests may run beside which."""

from pathlib import Path

import pytest

from tests.conftest import PEERS, SECONDS, group_of, seconds_of

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("test", "group"),
    [
        (
            "tests/servers/http/test_authority.py::test_a[b::c]",
            "tests/servers/http/test_authority.py",
        ),
        (
            "tests/harness/commands/running/test_run.py::test_a",
            "tests/harness/commands/running/test_run.py",
        ),
        ("tests/harness/commands/running/test_run_peers.py::test_a", "peers"),
        ("tests/servers/peers/test_contract.py::test_a", "peers"),
    ],
)
def test_files_run_side_by_side_unless_they_are_about_products(test: str, group: str) -> None:
    assert group_of(test) == group


def test_what_takes_long_counts_for_more() -> None:
    run = "tests/harness/commands/running/test_run.py::test_a"
    assert seconds_of([run]) > seconds_of(["tests/harness/plan/test_plan.py::test_a"] * 2)


@pytest.mark.parametrize("place", [*SECONDS, *PEERS])
def test_what_is_named_exists(place: str) -> None:
    assert (ROOT / place).exists()
