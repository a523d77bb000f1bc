"""Makes attacks on targets, and judges from outside what became of each.

Rule 1: an attack has succeeded when its proof is seen, and not before; what the hostile script says
of itself only explains why there was none. Where it reports nothing, there is no result.
Rule 2: every attack is also made where it must succeed, on a target or on a weak double
(`harness.attack.controls`), so that "blocked" never means that the attack was broken.
Rule 3: seats have nothing in common, so several servers are attacked at the same time, also of one
target; the attacks on one server come one after the other, a single one unless it leaves nothing.
Rule 4: whatever one attack breaks, its own script, its own proof or the server, is an error of that
attack, and the others are made all the same.
Rule 5: no outcome tells of the host's speed: what came too late to show anything is made again,
with more time.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import groupby
from threading import Thread
from typing import TypeVar

from harness.attack import controls
from harness.attack.errors import NothingToAttack, SceneFailed, TooLate
from harness.attack.judgement import (
    Attempt,
    Judgement,
    Outcome,
    explain,
    presentable,
    was_refused,
)
from harness.attack.scene import opening
from harness.attack.scene.scene import Scene
from harness.attack.scene.unsuited import without_object
from harness.attack.seats.seat import Seat
from harness.attack.visitors.raw_http import TIMED_OUT
from harness.errors import IsobenchError
from harness.target.server import Server
from harness.target.targets import MODE, Target
from workloads.attacks import Attack

LONGEST_S = 90.0
"""After which an attack that does not come to an end is given up: more than all waits together."""

MOST_LOST = 3
"""After how many servers of a target that ended, or did not start, no other is tried."""

SHORT_S = 1
"""A script's time limit where that is what is attacked; only its end is waited for."""

AGAIN = 3
"""How many times as long a script may take where an attack is made again."""

MOST_TRIES = 3
"""How often an attack is made before it has had its time."""

Seen = TypeVar("Seen")


Watch = Callable[[Attempt], None]


def attack_all(
    seat: Seat,
    target: Target,
    attacks: Sequence[Attack],
    watch: Watch,
    lost: list[str] | None = None,
) -> None:
    """Make these attacks on one target, telling `watch` of each.

    `lost` says how other servers of the target were lost; those of these attacks are added.

    Attacks that leave nothing behind come first, on one server for each size of pool. Of the
    others, too, one follows on the server of another that has found nothing to attack, or that a
    refusal has left undone. Where a server ends, the rest are made on a new one.
    """
    lost = [] if lost is None else lost
    siege = _Siege(seat, target, controls.server_class(target.name), watch, lost)
    left = sorted(siege.pass_over(attacks), key=_wanted)
    for _, group in groupby(left, _wanted):
        siege.make(group)


def _wanted(attack: Attack) -> tuple[bool | int, ...]:
    """Return what an attack wants of its server: those alike can be made on the same."""
    return (not attack.shared, attack.timed, attack.profiled, attack.workers)


class _Siege:
    """The attacks on one target: on one server after the other, as often as one is lost."""

    def __init__(
        self,
        seat: Seat,
        target: Target,
        server_class: type[Server],
        watch: Watch,
        lost: list[str],
    ) -> None:
        self._seat = seat
        self._target = target
        self._server_class = server_class
        self._watch = watch
        self._lost = lost
        self._short = target.kind == MODE or server_class is not Server
        self._tries = 0

    def pass_over(self, attacks: Iterable[Attack]) -> list[Attack]:
        """Report those that the target has no object for; return the others."""
        left = []
        for attack in attacks:
            if reason := without_object(attack, self._target):
                judged = Judgement(Outcome.NOT_APPLICABLE, reason)
                self._tell(attack, judged, time.monotonic())
            else:
                left.append(attack)
        return left

    def make(self, attacks: Iterable[Attack]) -> None:
        """Make attacks that want the same of their server."""
        left = list(attacks)
        while left:
            if len(self._lost) >= MOST_LOST:
                reason = (
                    f"not run, because {MOST_LOST} servers were lost; the last: {self._lost[-1]}"
                )
                self._tell(left.pop(0), Judgement(Outcome.ERROR, reason), time.monotonic())
            else:
                self._make_on_one_server(left)

    def _make_on_one_server(self, left: list[Attack]) -> None:
        """Make those that are left, until none is or the server is lost. At least one is made."""
        began = time.monotonic()
        first, stage = left[0], None
        try:
            with opening.opened(
                self._seat,
                self._target,
                first.workers,
                self._server_class,
                first.profiled,
                self._script_seconds(first),
            ) as stage:
                while left:
                    attack, judged = left[0], attempt(stage, left[0])
                    if self._is_to_be_made_again(attack, judged):
                        break
                    self._tell(left.pop(0), judged, began)
                    began = time.monotonic()
                    if judged.lost:
                        self._lost.append(judged.evidence)
                    if not left or not _is_as_it_was(stage, attack, judged):
                        break
        except Exception as error:
            if stage is not None:
                raise  # at the clearing away, when all was told
            self._lost.append(presentable(str(error) or type(error).__name__))
            reason = f"no server to attack: {self._lost[-1]}"
            self._tell(left.pop(0), Judgement(Outcome.ERROR, reason), began)

    def _script_seconds(self, attack: Attack) -> int:
        short = attack.timed and self._short
        seconds = SHORT_S if short else opening.SCRIPT_SECONDS
        return seconds * AGAIN if self._tries else seconds

    def _is_to_be_made_again(self, attack: Attack, judged: Judgement) -> bool:
        """Return whether an attack is made again, on a new server, because the time was short.

        So is one on a short time limit that succeeded.
        """
        doubtful = judged.outcome is Outcome.SUCCEEDED and attack.timed and not self._tries
        late = judged.late or (doubtful and self._target.kind == MODE)
        again = late and self._tries + 1 < MOST_TRIES
        self._tries = self._tries + 1 if again else 0
        return again

    def _tell(self, attack: Attack, judged: Judgement, began: float) -> None:
        took_s = time.monotonic() - began
        target = self._target
        self._watch(
            Attempt(target.name, attack, judged.outcome, judged.evidence, took_s, target.language)
        )


def _is_as_it_was(stage: Scene, attack: Attack, judged: Judgement) -> bool:
    """Return whether the server does for another attack, as if there had been none before.

    A script says that there is nothing to attack before it does anything, and an attack in one step
    that was refused has not been made.
    """
    if judged.lost:
        return False
    if attack.shared:
        return judged.outcome is not Outcome.SUCCEEDED or stage.outage() is None
    undone = attack.one_step and judged.outcome is Outcome.BLOCKED and judged.refused
    return undone or judged.outcome is Outcome.NOT_APPLICABLE


def attempt(stage: Scene, attack: Attack) -> Judgement:
    """Make one attack and judge it, whatever it does.

    A server that has ended, or serves nobody any more, is an error, unless that is the proof.
    """
    try:
        judged = within(LONGEST_S, lambda: _carry_out(stage, attack))
    except TimeoutError as error:
        return Judgement(Outcome.ERROR, f"it could not be judged: {error}", lost=True)
    outcome, words = judged.outcome, judged.evidence
    lost = None if outcome is Outcome.SUCCEEDED else stage.outage()
    if lost:
        words = f"after it {lost}" + (f"; {words}" if outcome is Outcome.ERROR else "")
        outcome = Outcome.ERROR
    words = presentable(stage.shortened(words))
    return replace(judged, outcome=outcome, evidence=words, lost=lost is not None)


def _carry_out(stage: Scene, attack: Attack) -> Judgement:
    try:
        evidence = stage.carry_out(attack)
    except NothingToAttack as reason:
        return Judgement(Outcome.NOT_APPLICABLE, str(reason))
    except SceneFailed as error:
        late = isinstance(error, TooLate)
        return Judgement(Outcome.ERROR, f"it could not be judged: {error}", late=late)
    # Whatever an attack's half in the harness raises is that attack's fault, and no other's.
    except (Exception, SystemExit) as error:
        return Judgement(Outcome.ERROR, f"it could not be judged: {_fault(error, attack)}")
    if evidence:
        return Judgement(Outcome.SUCCEEDED, evidence)
    replies = stage.replies()
    outcome, words = explain(replies, began=stage.began(), may_be_ended=attack.may_be_ended)
    timed_out = any(reply.status == TIMED_OUT for reply in replies)
    # Where the limit is what is attacked, to be ended by it is what is to come.
    late = stage.timed_out or (timed_out and (outcome is Outcome.ERROR or not attack.timed))
    return Judgement(outcome, words, late=late, refused=all(map(was_refused, replies)))


def within(seconds: float, act: Callable[[], Seen]) -> Seen:
    """Return what `act` returns. Raises what it raises, TimeoutError where it does not end.

    It then goes on in its thread, which keeps nobody else from ending.
    """
    ended: Future[Seen] = Future()

    def carry_out() -> None:
        try:
            ended.set_result(act())
        except BaseException as error:
            ended.set_exception(error)

    Thread(target=carry_out, daemon=True).start()
    try:
        return ended.result(seconds)
    except TimeoutError:
        raise TimeoutError(f"it did not end within {seconds:g} s") from None


def _fault(error: BaseException, attack: Attack) -> str:
    """Return an exception in words, with the line of the attack's file that it came through."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(attack.source)
    ]
    place = f" (line {lines[-1]} of {attack.source.name})" if lines else ""
    return f"{type(error).__name__}: {error}{place}"


def in_random_order(attacks: Iterable[Attack], target: str, seed: int) -> list[Attack]:
    """Return the attacks in an order of this target's own, the same for the same seed."""
    ordered = list(attacks)
    random.Random(f"{seed} {target}").shuffle(ordered)
    return ordered


def control(seat: Seat, attack: Attack, language: str = "python") -> Attempt:
    """Make an attack where it must succeed, as it is written in a language."""
    found: list[Attempt] = []
    name = attack.control_in(language)
    try:
        attack_all(seat, controls.find(name), [attack], found.append)
    except IsobenchError as error:  # there is no such target
        words = presentable(str(error))
        found.append(Attempt(name, attack, Outcome.ERROR, words, 0.0, language))
    return found[0]
