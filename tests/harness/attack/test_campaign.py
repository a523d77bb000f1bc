"""Attacks on several targets at a time: each is noted, whatever becomes of the others."""

import os
from collections.abc import Sequence
from threading import Barrier

import pytest
from rich.console import Console

from harness.attack import attempt as attacks
from harness.attack import campaign
from harness.attack.attempt import Watch
from harness.attack.findings import Assault, Findings
from harness.attack.judgement import Attempt, Outcome
from harness.attack.seats.seat import Seat
from harness.target.run_resources import RunResources
from harness.target.targets import Target, choose
from tests.harness.live import needs_root
from workloads.attacks import Attack, every, load

pytestmark = needs_root
CHOSEN = (load("neighbours_secret"), load("kill_master"))


def made(
    targets: Sequence[str], jobs: int = 2, chosen: tuple[Attack, ...] = CHOSEN
) -> tuple[Findings, list[list[Attempt]]]:
    """Make the chosen attacks; return what was found, and what was kept at a time."""
    findings = Findings()
    kept: list[list[Attempt]] = []
    assault = Assault(tuple(choose(targets)), chosen, 1)
    with RunResources() as resources:
        campaign.carry_out(
            assault, resources, Console(quiet=True), findings, lambda one: kept.append([*one]), jobs
        )
    return findings, kept


def note_all(
    seat: Seat, target: Target, order: Sequence[Attack], watch: Watch, *_lost: list[str]
) -> None:
    for one in order:
        outcome = Outcome.SUCCEEDED if one.name == "kill_master" else Outcome.BLOCKED
        watch(Attempt(target.name, one, outcome, str(seat.first_uid), 0.1))


def test_each_target_is_attacked_and_kept_and_what_succeeded_nowhere_gets_its_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attacks, "attack_all", note_all)
    monkeypatch.setattr(
        attacks,
        "control",
        lambda _, one, language: Attempt("weak", one, Outcome.SUCCEEDED, "", 0.1),
    )
    findings, kept = made(["dso", "cgi"])
    assert sorted(one.target for part in kept for one in part) == ["cgi", "cgi", "dso", "dso"]
    assert all(len({one.target for one in part}) == 1 for part in kept)
    assert len(findings.attempts) == 4
    assert findings.controls["neighbours_secret"] == "weak"
    assert findings.controls["kill_master"] in ("dso", "cgi")
    assert findings.harm == []


def test_attacks_are_cut_into_parts_and_those_that_share_a_server_stay_together() -> None:
    assault = Assault(
        tuple(choose(["dso", "cgi"])), every(), 1, frozenset({("cgi", "setuid_root")})
    )
    parts = campaign.in_parts(assault)
    found = [(target.name, one.name) for target, part in parts for one in part]
    assert len(found) == len(set(found)) == 2 * len(every()) - 1
    assert ("cgi", "setuid_root") not in found
    together = [part for _, part in parts if any(one.shared for one in part)]
    assert len(together) == 2
    assert all(one.shared for part in together for one in part)
    assert all(0 < len(part) <= campaign.PART for _, part in parts if part not in together)


def test_a_control_that_failed_too_early_does_not_count() -> None:
    """As one that is made while the attack is yet to succeed on a target."""
    findings = Findings()
    findings.note_control(Attempt("weak", CHOSEN[0], Outcome.BLOCKED, "", 0.1))
    findings.note(Attempt("dso", CHOSEN[0], Outcome.SUCCEEDED, "", 0.1))
    assert findings.unshown() == []
    assert not findings.lacks_control(CHOSEN[0], "python")


def test_as_many_servers_are_attacked_at_a_time_as_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    under_way = Barrier(3)

    def wait_for_the_others(
        seat: Seat, target: Target, order: Sequence[Attack], watch: Watch, *_lost: list[str]
    ) -> None:
        under_way.wait(60)
        note_all(seat, target, order, watch)

    monkeypatch.setattr(attacks, "attack_all", wait_for_the_others)
    monkeypatch.setattr(attacks, "control", succeed)
    findings, kept = made(["dso", "cgi", "harache"], jobs=3)
    assert len(kept) == 6
    assert len({one.evidence for one in findings.attempts}) == 3  # seats


def test_two_more_than_processors_are_attacked_at_a_time_but_never_very_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for processors, jobs in ((2, 4), (1, 3), (500, 64)):
        affinity = set(range(processors))
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, found=affinity: found)
        assert campaign.usual_jobs() == jobs


def succeed(_: Seat, attack: Attack, language: str) -> Attempt:
    return Attempt("weak", attack, Outcome.SUCCEEDED, "", 0.1)


def test_what_cannot_be_cleared_away_is_harm_and_an_error_of_each_attack_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def break_off(
        _: Seat, target: Target, order: Sequence[Attack], watch: Watch, *_lost: list[str]
    ) -> None:
        watch(Attempt(target.name, order[0], Outcome.BLOCKED, "", 0.1))
        raise OSError("it is still busy")

    monkeypatch.setattr(attacks, "attack_all", break_off)
    monkeypatch.setattr(
        attacks,
        "control",
        lambda _, one, language: Attempt("weak", one, Outcome.SUCCEEDED, "", 0.1),
    )
    shared = load("neighbours_secret"), load("neighbours_listing")
    findings, _ = made(["dso"], chosen=shared)
    assert [one.outcome for one in findings.attempts] == [Outcome.BLOCKED, Outcome.ERROR]
    assert findings.attempts[1].evidence == "not made: it is still busy"
    assert findings.harm == ["what it left on dso could not be cleared away: it is still busy"]
