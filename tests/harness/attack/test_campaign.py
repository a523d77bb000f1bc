"""Attacks on several targets at a time: each is noted, whatever becomes of the others."""

import os
from collections.abc import Sequence
from threading import Barrier

import pytest
from rich.console import Console

from harness.attack import attempt as attacks
from harness.attack import campaign
from harness.attack.attempt import Attempt, Outcome, Watch
from harness.attack.findings import Assault, Findings
from harness.attack.seat import Seat
from harness.target.run_resources import RunResources
from harness.target.targets import Target, choose
from tests.harness.live import needs_root
from workloads.attacks import Attack, load

pytestmark = needs_root
CHOSEN = (load("neighbours_secret"), load("kill_master"))


def made(targets: Sequence[str], jobs: int = 2) -> tuple[Findings, list[list[Attempt]]]:
    """Make the chosen attacks; return what was found, and what was kept at a time."""
    findings = Findings()
    kept: list[list[Attempt]] = []
    assault = Assault(tuple(choose(targets)), CHOSEN, 1)
    with RunResources() as resources:
        campaign.carry_out(
            assault, resources, Console(quiet=True), findings, lambda one: kept.append([*one]), jobs
        )
    return findings, kept


def note_all(seat: Seat, target: Target, order: Sequence[Attack], watch: Watch) -> None:
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
    assert sorted(of_one[0].target for of_one in kept) == ["cgi", "dso"]
    assert [len(of_one) for of_one in kept] == [2, 2]
    assert len(findings.attempts) == 4
    assert findings.controls["neighbours_secret"] == "weak"
    assert findings.controls["kill_master"] in ("dso", "cgi")
    assert findings.harm == []


def test_as_many_targets_are_attacked_at_a_time_as_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    under_way = Barrier(3)

    def wait_for_the_others(_: Seat, target: Target, order: Sequence[Attack], watch: Watch) -> None:
        under_way.wait(60)
        note_all(_, target, order, watch)

    monkeypatch.setattr(attacks, "attack_all", wait_for_the_others)
    monkeypatch.setattr(attacks, "control", succeed)
    findings, kept = made(["dso", "cgi", "harache"], jobs=3)
    assert len(kept) == 3
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
    def break_off(_: Seat, target: Target, order: Sequence[Attack], watch: Watch) -> None:
        watch(Attempt(target.name, order[0], Outcome.BLOCKED, "", 0.1))
        raise OSError("it is still busy")

    monkeypatch.setattr(attacks, "attack_all", break_off)
    monkeypatch.setattr(
        attacks,
        "control",
        lambda _, one, language: Attempt("weak", one, Outcome.SUCCEEDED, "", 0.1),
    )
    findings, _ = made(["dso"])
    assert [one.outcome for one in findings.attempts] == [Outcome.BLOCKED, Outcome.ERROR]
    assert findings.attempts[1].evidence == "not made: it is still busy"
    assert findings.harm == ["what it left on dso could not be cleared away: it is still busy"]
