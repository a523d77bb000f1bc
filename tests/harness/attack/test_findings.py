"""Whether what came of attacks can be believed, and what is said where it cannot."""

import pytest

from harness.attack.findings import MOST_LISTED, Assault, Findings, cautions, must_be_believed
from harness.attack.judgement import Attempt, Outcome
from harness.attack.scene.unsuited import UNCONTAINED
from harness.errors import IsobenchError
from harness.target.targets import choose
from workloads.attacks import Attack, every, load

ATTACK = load("neighbours_secret")


def attempt(outcome: Outcome, attack: Attack = ATTACK, target: str = "dso") -> Attempt:
    return Attempt(target, attack, outcome, "seen", 0.1)


def test_where_an_attack_succeeded_first_is_its_control() -> None:
    findings = Findings()
    for target, outcome in (
        ("harache", Outcome.BLOCKED),
        ("cgi", Outcome.SUCCEEDED),
        ("dso", Outcome.SUCCEEDED),
    ):
        findings.note(attempt(outcome, target=target))
    assert findings.controls == {"neighbours_secret": "cgi"}
    must_be_believed(findings)


def test_a_control_that_failed_supports_no_blocked_attack() -> None:
    findings = Findings([attempt(Outcome.BLOCKED)])
    findings.note_control(attempt(Outcome.BLOCKED, target="careless"))
    with pytest.raises(IsobenchError, match="proves nothing: neighbours_secret") as caught:
        must_be_believed(findings)
    assert caught.value.exit_code == 1


def test_a_control_that_succeeded_supports_it() -> None:
    findings = Findings([attempt(Outcome.BLOCKED)])
    findings.note_control(attempt(Outcome.SUCCEEDED, target="careless"))
    must_be_believed(findings)
    assert findings.controls == {"neighbours_secret": "careless"}


def test_an_attack_that_can_be_run_nowhere_claims_nothing() -> None:
    findings = Findings([attempt(Outcome.NOT_APPLICABLE)])
    findings.note_control(attempt(Outcome.NOT_APPLICABLE, target="careless"))
    assert findings.unshown() == []
    must_be_believed(findings)


def test_harm_outside_of_a_scene_is_the_first_thing_said() -> None:
    findings = Findings([attempt(Outcome.ERROR)])
    findings.note_harm(["a file\x1b outside was changed"])
    with pytest.raises(IsobenchError, match=r"outside its scene: a file\\x1b outside was changed"):
        must_be_believed(findings)


def test_the_same_evidence_is_one_caution_and_many_names_are_counted() -> None:
    attacks = every()[: MOST_LISTED + 3]
    findings = Findings([attempt(Outcome.ERROR, attack) for attack in attacks])
    (caution,) = cautions(Assault((), tuple(attacks), 1), findings)
    assert caution.about.startswith(f"no result of {attacks[0].name}, ")
    assert caution.about.endswith(" and 3 more on dso: seen")


def test_what_was_made_before_is_not_left() -> None:
    (target,) = choose(["dso"])
    made = frozenset({("dso", "kill_master"), ("cgi", "neighbours_secret")})
    assault = Assault((target,), (ATTACK, load("kill_master")), 1, made)
    assert [one.name for one in assault.left(target)] == ["neighbours_secret"]


def test_where_no_attack_can_be_made_that_is_no_success() -> None:
    target, attack = choose(["dso"])[0], load("kill_master")
    unmade = Attempt("dso", attack, Outcome.NOT_APPLICABLE, UNCONTAINED, 0.1)
    control = Attempt("careless", attack, Outcome.NOT_APPLICABLE, UNCONTAINED, 0.1)
    findings = Findings([unmade], failed=[control])
    with pytest.raises(
        IsobenchError, match="none of these attacks can be run here: this"
    ) as caught:
        must_be_believed(findings)
    assert caught.value.exit_code == 1
    (caution,) = cautions(Assault((target,), (attack,), 1), findings)
    assert caution.about.startswith("1 of 1 attacks were not run: this host allows no pid names")
