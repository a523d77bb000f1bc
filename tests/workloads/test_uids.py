"""Uids for tenants: free, and claimed by one run at a time."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from workloads import uids
from workloads.errors import WorkloadError
from workloads.uids import BLOCK, UID_RANGE, ClaimedUids, lists_are_complete, parse_id_map

ROOT = Path(__file__).parents[2]
COUNT = 2 * BLOCK
FIRST = 20_000 + 1000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
OURS = range(FIRST, FIRST + 1000)
"""Where no real run looks, nor another of the test processes, so that none comes between."""

RUN = f"""
import sys
from workloads import uids
uids.UID_RANGE = {OURS!r}
sys.stdin.readline()
with uids.ClaimedUids() as claimed:
    print(claimed.first_free({COUNT}), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def _where_no_run_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uids, "UID_RANGE", OURS)


@contextmanager
def another_run() -> Iterator[subprocess.Popen[str]]:
    """Have a process that claims uids when it is told to, and keeps them."""
    command = [sys.executable, "-c", RUN]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def tell(run: subprocess.Popen[str]) -> None:
    assert run.stdin is not None
    run.stdin.write("\n")
    run.stdin.flush()


def claimed_by(run: subprocess.Popen[str]) -> set[int]:
    assert run.stdout is not None
    return numbers(int(run.stdout.readline()))


def numbers(first: int) -> set[int]:
    return set(range(first, first + COUNT + 1))


def test_they_are_above_those_of_ordinary_users() -> None:
    with ClaimedUids() as claimed:
        assert claimed.first_free(3) in UID_RANGE


def test_runs_that_start_together_have_different_ones() -> None:
    with ExitStack() as stack:
        runs = [stack.enter_context(another_run()) for _ in range(3)]
        for run in runs:
            tell(run)
        claimed = [claimed_by(run) for run in runs]
    assert len(set.union(*claimed)) == sum(map(len, claimed))


@pytest.mark.usefixtures("_where_no_run_looks")
def test_what_a_killed_run_had_claimed_is_free_again() -> None:
    with another_run() as run, ClaimedUids() as mine:
        tell(run)
        theirs = claimed_by(run)
        assert not theirs & numbers(mine.first_free(COUNT))
        mine.close()
        run.kill()
        run.wait()
        assert numbers(mine.first_free(COUNT)) == theirs


@pytest.mark.usefixtures("_where_no_run_looks")
def test_a_run_is_given_again_what_it_has() -> None:
    with ClaimedUids() as claimed, ClaimedUids() as other:
        first = claimed.first_free(COUNT)
        elsewhere = other.first_free(3)
        assert elsewhere not in numbers(first)
        assert claimed.first_free(3) == first
        assert other.first_free(3) == elsewhere


@pytest.mark.usefixtures("_where_no_run_looks")
def test_as_what_a_process_runs_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with ClaimedUids() as claimed:
        first = claimed.first_free(3)
        monkeypatch.setattr(uids, "_uids_of_processes", lambda: {first + 2})
        assert claimed.first_free(3) == first + 3


def test_no_free_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uids, "UID_RANGE", range(5))  # root, daemon, bin, sys, sync
    with (
        ClaimedUids() as claimed,
        pytest.raises(WorkloadError, match="no 2 free uids in a row from 0 to 4") as caught,
    ):
        claimed.first_free(1)
    assert caught.value.hint


def test_id_maps() -> None:
    assert parse_id_map("         0       1000          1\n 1 100000 65536\n") == [
        range(1),
        range(1, 65537),
    ]


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("passwd: files systemd\ngroup: files\nhosts: dns\n", True),
        ("passwd: files ldap  # slow\ngroup: files\n", False),
    ],
)
def test_a_directory_service_cannot_be_listed(tmp_path: Path, text: str, complete: bool) -> None:
    (tmp_path / "nsswitch.conf").write_text(text)
    assert lists_are_complete(tmp_path / "nsswitch.conf") == complete


@pytest.mark.parametrize(
    ("uid_map", "all_there"),
    [
        ("0 0 4294967295\n", True),
        ("0 0 1\n", False),
        ("0 1000 1\n1 100000 65536\n", True),
        ("0 1000 1\n1 100000 50000\n", False),
        ("0 0 50000\n50000 100000 60000\n", True),
    ],
)
def test_a_user_namespace_with_too_few_uids_is_told_apart(
    uid_map: str, all_there: bool, tmp_path: Path
) -> None:
    file = tmp_path / "uid_map"
    file.write_text(uid_map)
    assert uids._maps_all(str(file)) == all_there
