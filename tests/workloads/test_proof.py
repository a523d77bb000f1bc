"""The proof line: written, read, and compared in plain words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.proof import Identity, Proof, explain_difference, parse, proof_line

OWNER = Proof("t0001", Identity(47001, 47001))
IDS = st.integers(min_value=0, max_value=2**32 - 2)


def test_line_without_groups() -> None:
    expected = b"isobench tenant=t0001 uid=47001 gid=47001 groups=\n"
    assert proof_line("t0001", Identity(47001, 47001)) == expected


def test_groups_are_ascending() -> None:
    assert proof_line("t0001", Identity(1, 2, (33, 4))).endswith(b" groups=4,33\n")


@given(IDS, IDS, st.sets(IDS, max_size=5))
def test_what_is_written_is_read(uid: int, gid: int, groups: set[int]) -> None:
    identity = Identity(uid, gid, tuple(sorted(groups)))
    assert parse(proof_line("t0042", identity) + b"and more") == Proof("t0042", identity)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<h1>It works!</h1>",
        b"isobench tenant=t0001 uid=1 gid=1 groups=",
        b"isobench tenant=t0001 uid=root gid=1 groups=\n",
        b"isobench tenant=t0001 uid=1 gid=1 groups=1,\n",
        b"\nisobench tenant=t0001 uid=1 gid=1 groups=\n",
    ],
)
def test_no_proof(body: bytes) -> None:
    assert parse(body) is None


def test_no_difference() -> None:
    assert explain_difference(OWNER, OWNER) == ""


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (None, "the body does not begin with a proof line"),
        (
            Proof("t0001", Identity(47000, 47001)),
            "ran as uid 47000 (the server) instead of 47001",
        ),
        (Proof("t0001", Identity(0, 47001)), "ran as uid 0 instead of 47001"),
        (
            Proof("t0002", Identity(47001, 47001)),
            "the script of t0002 answered instead of t0001's",
        ),
        (
            Proof("t0001", Identity(47001, 0, (0, 33))),
            "ran as gid 0 instead of 47001; "
            "ran with supplementary groups 0,33 instead of no supplementary groups",
        ),
    ],
)
def test_difference_in_words(seen: Proof | None, words: str) -> None:
    assert explain_difference(OWNER, seen, server=Identity(47000, 47000)) == words
