"""Attacks on real servers: what is known to be open is seen to be open, the rest is blocked."""

from collections.abc import Iterator

import pytest

from harness import attacks, doubles
from harness.asking import Reply
from harness.attacks import Attempt, Outcome
from harness.belongings import Belongings
from harness.canary import Canary
from harness.scene import IDS_OF_A_SEAT, Seat
from harness.targets import available
from tests.harness.live import needs_root
from workloads import tenants
from workloads.attacks import Attack, every, load

pytestmark = needs_root

SAFE = ("harache", "zygote", "sandbox", "suexec", "fastcgi", "suid2", "ruid2_drop", "hussa")


@pytest.fixture(name="seat", scope="module")
def _seat() -> Iterator[Seat]:
    with Belongings() as belongings:
        directory = belongings.scratch / "seat"
        directory.mkdir(mode=0o755)
        first = tenants.free_uid_base(IDS_OF_A_SEAT - 1)
        yield Seat(directory, belongings.another_group(0), first)


def attempt(seat: Seat, target: str, *names: str) -> dict[str, Attempt]:
    found: list[Attempt] = []
    chosen = [load(name) for name in names]
    attacks.attack_all(seat, doubles.find(target), chosen, found.append)
    return {one.attack.name: one for one in found}


@pytest.mark.parametrize("attack", every(), ids=lambda attack: attack.name)
def test_every_attack_succeeds_where_it_must(seat: Seat, attack: Attack) -> None:
    seen = attacks.control(seat, attack)
    assert seen.outcome is Outcome.SUCCEEDED, seen.evidence


@pytest.mark.parametrize("target", ["dso", "cgi"])
def test_whoever_runs_as_the_server_reads_the_neighbours_secret(seat: Seat, target: str) -> None:
    seen = attempt(seat, target, "neighbours_secret")["neighbours_secret"]
    assert seen.outcome is Outcome.SUCCEEDED
    assert "the neighbour's secret came back: " in seen.evidence


@pytest.mark.parametrize("target", SAFE)
def test_whoever_runs_as_the_owner_does_not(seat: Seat, target: str) -> None:
    seen = attempt(seat, target, "neighbours_secret", "neighbours_listing", "planted_symlink")
    assert {one.outcome for one in seen.values()} == {Outcome.BLOCKED}


@pytest.mark.parametrize(
    ("target", "outcome"),
    [
        ("ruid2", Outcome.SUCCEEDED),
        ("ruid2_drop", Outcome.BLOCKED),
        ("hussa", Outcome.BLOCKED),
        ("process_security", Outcome.BLOCKED),
    ],
)
def test_a_permitted_capability_can_be_raised_where_it_was_left(
    seat: Seat, target: str, outcome: Outcome
) -> None:
    seen = attempt(seat, target, "raised_capability")["raised_capability"]
    assert seen.outcome is outcome, seen.evidence


def test_what_shares_the_servers_memory_can_call_its_way_back(seat: Seat) -> None:
    seen = attempt(seat, "hussa", "servers_switch")["servers_switch"]
    assert seen.outcome is Outcome.SUCCEEDED
    assert "as the neighbour" in seen.evidence


@pytest.mark.parametrize("target", ["harache", "sandbox"])
def test_a_child_cannot_falsify_the_scoreboard(seat: Seat, target: str) -> None:
    seen = attempt(seat, target, "scoreboard")["scoreboard"]
    assert seen.outcome is Outcome.BLOCKED, seen.evidence


@pytest.mark.parametrize("target", ["dso", "zygote", "sandbox"])
def test_what_stamps_in_a_scripts_process_is_the_scripts_to_forge(seat: Seat, target: str) -> None:
    seen = attempt(seat, target, "forged_stamps")["forged_stamps"]
    assert seen.outcome is Outcome.SUCCEEDED, seen.evidence


@pytest.mark.parametrize("target", ["cgi", "suexec"])
def test_a_program_has_no_way_to_the_journal(seat: Seat, target: str) -> None:
    seen = attempt(seat, target, "forged_stamps")["forged_stamps"]
    assert seen.outcome is Outcome.BLOCKED
    assert "Permission denied: '/journal'" in seen.evidence


def test_the_log_is_for_root_alone(seat: Seat) -> None:
    assert attempt(seat, "dso", "server_log")["server_log"].outcome is Outcome.BLOCKED


def test_what_is_not_there_is_told_by_looking(seat: Seat) -> None:
    seen = attempt(seat, "dso", "for_root", "fork_exec", "kill_helper", "neighbours_cmdline")
    assert {one.outcome for one in seen.values()} == {Outcome.NOT_APPLICABLE}


def test_a_guard_inside_the_language_can_be_walked_around(seat: Seat) -> None:
    seen = attempt(seat, "safe_mode", "fork_exec", "hook_state_by_gc", "planted_extension")
    outcomes = {name: one.outcome for name, one in seen.items()}
    assert outcomes == {
        "fork_exec": Outcome.SUCCEEDED,
        "hook_state_by_gc": Outcome.SUCCEEDED,
        "planted_extension": Outcome.BLOCKED,
    }


def test_bystanders_come_to_no_harm(seat: Seat) -> None:
    with Canary(seat.directory, seat.first_uid + 1) as canary:
        attempt(seat, "dso", "kill_sibling", "exhaust_processes", "outlive_response")
        assert list(canary.harm()) == []


def test_a_target_that_does_not_start_is_an_error(seat: Seat) -> None:
    broken = doubles.find("careless")
    found: list[Attempt] = []
    missing = type(broken)(**{**vars(broken), "name": "careless", "mode": "no_such_double"})
    attacks.attack_all(seat, missing, [load("neighbours_secret")], found.append)
    assert [one.outcome for one in found] == [Outcome.ERROR]
    assert "no server to attack" in found[0].evidence


def told(words: str) -> Reply:
    return Reply(f"HTTP/1.1 200 OK\r\n\r\nisobench-attack {words}\nmore".encode())


@pytest.mark.parametrize(
    ("replies", "outcome", "words"),
    [
        ([told("refused OSError: no")], Outcome.BLOCKED, "OSError: no"),
        ([told("done")], Outcome.BLOCKED, "without an effect"),
        ([told("nothing no wrapper")], Outcome.NOT_APPLICABLE, "no wrapper"),
        ([told("broke KeyError: x")], Outcome.ERROR, "KeyError: x"),
        ([told("done"), told("refused OSError: no")], Outcome.BLOCKED, "OSError: no"),
        ([Reply()], Outcome.BLOCKED, "no answer"),
        ([Reply(b"HTTP/1.1 504 X\r\n\r\ntoo long\nmore")], Outcome.BLOCKED, "504: too long"),
    ],
)
def test_what_was_not_proven_is_explained(
    replies: list[Reply], outcome: Outcome, words: str
) -> None:
    found, evidence = attacks.explain(replies)
    assert found is outcome
    assert words in evidence


def test_the_order_is_the_seeds() -> None:
    first, again, other = (attacks.in_random_order(every(), "dso", seed) for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(first, key=repr) == sorted(every(), key=repr)


def test_no_double_is_listed_as_a_mode() -> None:
    assert not {target.name for target in available()} & set(doubles.RUNS_AS)


SERVING = ("stopped_orphan", "misleading_name", "held_back_end", "unfit_worker", "left_zombies")


@pytest.mark.parametrize("target", ["dso", "fastcgi"])
def test_no_script_ends_the_server_or_keeps_it_from_serving(seat: Seat, target: str) -> None:
    seen = attempt(seat, target, *SERVING)
    assert Outcome.SUCCEEDED not in {one.outcome for one in seen.values()}, seen
