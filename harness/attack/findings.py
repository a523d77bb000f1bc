"""What was to be attacked, what came of it, and whether that can be believed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from threading import Lock

from harness.attack import attempt as attacks
from harness.attack.judgement import Attempt, Outcome, presentable
from harness.attack.scene.unsuited import UNFIT
from harness.errors import Caution, IsobenchError
from harness.results.format import first_few
from harness.target.targets import Target
from workloads.attacks import Attack

Script = tuple[Attack, str]
"""An attack as it is written in a language."""

MOST_LISTED = 10
"""How many names a sentence has, before it counts the rest."""


@dataclass(frozen=True)
class Assault:
    """What is to be done: these attacks on these targets, in an order drawn by the seed.

    `made` are those, by target and attack, that an interrupted command has already made.
    """

    targets: tuple[Target, ...]
    attacks: tuple[Attack, ...]
    seed: int
    made: frozenset[tuple[str, str]] = frozenset()

    @property
    def scripts(self) -> list[Script]:
        """The attacks' scripts by attack and language, of all languages that targets run."""
        languages = dict.fromkeys(target.language for target in self.targets)
        return [
            (one, language)
            for language in languages
            for one in self.attacks
            if one.source_in(language) is not None
        ]

    def left(self, target: Target) -> list[Attack]:
        """Return what is still to be made on a target, in this target's order."""
        order = attacks.in_random_order(self.attacks, target.name, self.seed)
        return [one for one in order if (target.name, one.name) not in self.made]


@dataclass
class Findings:
    """What came of it, as the threads that attack report it.

    `controls` has for each attack's script, by `Attempt.script`, where it succeeded; `failed` are
    those that did not even where they must.
    """

    attempts: list[Attempt] = field(default_factory=list)
    controls: dict[str, str] = field(default_factory=dict)
    failed: list[Attempt] = field(default_factory=list)
    harm: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def note(self, attempt: Attempt) -> None:
        """Keep an attempt."""
        with self._lock:
            self.attempts.append(attempt)
            if attempt.outcome is Outcome.SUCCEEDED:
                self.controls.setdefault(attempt.script, attempt.target)

    def lacks_control(self, attack: Attack, language: str) -> bool:
        """Return whether an attack is still to be made where it must succeed.

        In a product's language it is where it was made on a product.
        """
        script = attack.script_in(language)
        with self._lock:
            known = script in self.controls or any(one.script == script for one in self.failed)
            made = any(
                one.script == script and one.outcome is not Outcome.NOT_APPLICABLE
                for one in self.attempts
            )
        return not known and (language == "python" or made)

    def note_control(self, attempt: Attempt) -> None:
        """Keep what became of an attack where it must succeed."""
        with self._lock:
            if attempt.outcome is Outcome.SUCCEEDED:
                self.controls.setdefault(attempt.script, attempt.target)
            else:
                self.failed.append(attempt)

    def note_harm(self, harm: Iterable[str]) -> None:
        """Keep what was done to bystanders."""
        with self._lock:
            self.harm += map(presentable, harm)

    def errors(self) -> list[Attempt]:
        """Return the attacks that gave no result."""
        return [one for one in self.attempts if one.outcome is Outcome.ERROR]

    def unshown(self) -> list[Attempt]:
        """Return the controls that failed, of attacks whose being blocked they were to support.

        One that has succeeded elsewhere meanwhile needs none. Where an attack can be made nowhere
        on this host, nothing is claimed of it.
        """
        blocked = {one.script for one in self.attempts if one.outcome is Outcome.BLOCKED}
        return [
            one
            for one in self.failed
            if one.script not in self.controls
            and (one.outcome is not Outcome.NOT_APPLICABLE or one.script in blocked)
        ]


def cautions(assault: Assault, findings: Findings) -> Iterator[Caution]:
    """Yield what weakens the results, in words, with what to do about it."""
    for evidence, errors in _by_evidence(findings.errors()):
        yield Caution(
            f"no result of {first_few((one.script for one in errors), MOST_LISTED)} on "
            f"{first_few((one.target for one in errors), MOST_LISTED)}: {evidence}",
            "fix the attack, or what it ran into: docs/adding-an-attack.md",
        )
    if unshown := findings.unshown():
        yield Caution(
            'these attacks succeeded nowhere, not even on their control, so "blocked" proves '
            "nothing: "
            + ", ".join(f"{one.script} (on {one.target}: {one.evidence})" for one in unshown),
            "check whether they work on this host: docs/adding-an-attack.md",
        )
    for reason, remedy in UNFIT.items():
        if unmade := {one.attack.name for one in findings.attempts if one.evidence == reason}:
            yield Caution(
                f"{len(unmade)} of {len(assault.attacks)} attacks were not run: {reason}",
                f"{remedy}; until then the shares count the other attacks only",
            )


def _by_evidence(attempts: Iterable[Attempt]) -> Iterable[tuple[str, list[Attempt]]]:
    found: dict[str, list[Attempt]] = {}
    for one in attempts:
        found.setdefault(one.evidence, []).append(one)
    return found.items()


def must_be_believed(findings: Findings) -> None:
    """Raise IsobenchError where attacks did harm, gave no result, or show nothing."""
    if findings.harm:
        raise IsobenchError(
            f"an attack affected something outside its scene: {findings.harm[0]}",
            hint="this is a fault of isobench: do not use these results, and please report it",
            exit_code=1,
        )
    if errors := findings.errors():
        names = first_few((one.script for one in errors), MOST_LISTED)
        raise IsobenchError(
            f"{len(errors)} of {len(findings.attempts)} attempts gave no result: {names}",
            hint="each is listed above and in the report: docs/adding-an-attack.md",
            exit_code=1,
        )
    if unshown := findings.unshown():
        raise IsobenchError(
            'these attacks succeeded nowhere, not even on their control, so "blocked" proves '
            f"nothing: {', '.join(one.script for one in unshown)}",
            hint="check whether they work on this host: docs/adding-an-attack.md",
            exit_code=1,
        )
    reasons = {one.evidence for one in findings.attempts}
    if reasons and reasons <= UNFIT.keys():
        raise IsobenchError(
            f"none of these attacks can be run here: {', '.join(sorted(reasons))}",
            hint=f"{' and '.join(UNFIT[reason] for reason in sorted(reasons))}, or choose others",
            exit_code=1,
        )
