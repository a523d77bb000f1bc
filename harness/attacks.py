"""Makes attacks on targets, and judges from outside what became of each.

Rule 1: an attack has succeeded when its proof is seen, and not before; what the hostile script says
of itself only explains why there was none.
Rule 2: every attack is also made where it must succeed, on a target or on a weak double
(`harness.doubles`), so that "blocked" never means that the attack was broken.
Rule 3: targets have nothing in common, so several are attacked at the same time; the attacks on one
come one after the other, on a server of their own unless they leave nothing behind.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from harness import doubles, scene
from harness.errors import IsobenchError
from harness.scene import NothingToAttack, Scene, SceneFailed, Seat
from harness.server import Server
from harness.targets import Target
from workloads.attacks import Attack
from workloads.attacks.scene import Reply

MOST_EVIDENCE = 300
"""Characters of evidence that are kept."""

MOST_LOST = 3
"""After how many servers of a target that ended, or did not start, no other is tried."""

_TOLD = re.compile(rb"isobench-attack (done|nothing|refused|broke) ?([^\n]*)")


class Outcome(StrEnum):
    """What became of an attack."""

    BLOCKED = "blocked"
    SUCCEEDED = "succeeded"
    NOT_APPLICABLE = "not-applicable"
    ERROR = "error"


_MAY_HAVE_COST = (Outcome.SUCCEEDED, Outcome.ERROR)
"""Outcomes after which it is not known whether the server still serves."""


@dataclass(frozen=True)
class Attempt:
    """One attack on one target. `evidence` is what shows its outcome, in words."""

    target: str
    attack: Attack
    outcome: Outcome
    evidence: str
    took_s: float


Watch = Callable[[Attempt], None]


def attack_all(seat: Seat, target: Target, attacks: Sequence[Attack], watch: Watch) -> None:
    """Make these attacks on one target, telling `watch` of each.

    Attacks that leave nothing behind come first, on one server for each size of pool. Where that
    server ends, the rest are made on a new one.
    """
    siege = _Siege(seat, target, doubles.server_class(target.name), watch)

    def size(attack: Attack) -> int:
        return attack.workers

    together = sorted((attack for attack in attacks if attack.shared), key=size)
    for _, group in groupby(together, size):
        siege.make(group)
    for attack in attacks:
        if not attack.shared:
            siege.make([attack])


class _Siege:
    """The attacks on one target: on one server after the other, as often as one is lost."""

    def __init__(self, seat: Seat, target: Target, server_class: type[Server], watch: Watch):
        self._seat = seat
        self._target = target
        self._server_class = server_class
        self._watch = watch
        self._lost: list[str] = []

    def make(self, attacks: Iterable[Attack]) -> None:
        """Make attacks that one server does for."""
        left = list(attacks)
        while left:
            if len(self._lost) >= MOST_LOST:
                reason = (
                    f"not made, since {MOST_LOST} servers were lost; the last: {self._lost[-1]}"
                )
                self._tell(left.pop(0), (Outcome.ERROR, reason), time.monotonic())
            else:
                self._make_on_one_server(left)

    def _make_on_one_server(self, left: list[Attack]) -> None:
        """Make those that are left, until none is or the server is lost."""
        began = time.monotonic()
        first = left[0]
        try:
            with scene.opened(
                self._seat, self._target, first.workers, self._server_class, first.profiled
            ) as stage:
                while left:
                    judged = attempt(stage, left[0])
                    self._tell(left.pop(0), judged, began)
                    began = time.monotonic()
                    if left and judged[0] in _MAY_HAVE_COST and (reason := stage.outage()):
                        if judged[0] is Outcome.ERROR:
                            self._lost.append(reason)
                        break
        except (IsobenchError, SceneFailed) as error:
            self._lost.append(str(error).partition("\n")[0])
            reason = f"no server to attack: {self._lost[-1]}"
            self._tell(left.pop(0), (Outcome.ERROR, reason), began)

    def _tell(self, attack: Attack, judged: tuple[Outcome, str], began: float) -> None:
        outcome, evidence = judged
        took_s = time.monotonic() - began
        self._watch(Attempt(self._target.name, attack, outcome, evidence, took_s))


def attempt(stage: Scene, attack: Attack) -> tuple[Outcome, str]:
    """Make one attack and return what became of it."""
    try:
        evidence = stage.carry_out(attack)
        lost = None if evidence else stage.outage()
    except NothingToAttack as reason:
        return Outcome.NOT_APPLICABLE, str(reason)
    except (SceneFailed, OSError) as error:
        return Outcome.ERROR, stage.shortened(f"it could not be judged: {error}")
    if evidence:
        return Outcome.SUCCEEDED, stage.shortened(evidence)[:MOST_EVIDENCE]
    if lost:
        return Outcome.ERROR, stage.shortened(f"after it {lost}")[:MOST_EVIDENCE]
    outcome, words = explain(stage.replies())
    return outcome, stage.shortened(words)[:MOST_EVIDENCE]


def explain(replies: Sequence[Reply]) -> tuple[Outcome, str]:
    """Return why an attack shows no proof: what its script says, or what its client got. Pure.

    Of several requests, the first that was refused explains it best.
    """
    told = [_TOLD.search(reply.raw) for reply in replies]
    words = {match[1]: match[2].decode("latin-1") for match in reversed(told) if match}
    if b"broke" in words:
        return Outcome.ERROR, f"the script is broken: {words[b'broke']}"
    if b"nothing" in words:
        return Outcome.NOT_APPLICABLE, words[b"nothing"]
    if b"refused" in words:
        return Outcome.BLOCKED, words[b"refused"]
    if b"done" in words:
        return Outcome.BLOCKED, "the script came to its end, without an effect seen from outside"
    status = max((reply.status for reply in replies), default=0)
    if status == 0:
        return Outcome.BLOCKED, "no answer, and no effect: the script's process ended"
    first_line = replies[0].body.decode("latin-1").partition("\n")[0].strip()
    return Outcome.BLOCKED, f"the server answered {status}: {first_line}"


def in_random_order(attacks: Iterable[Attack], target: str, seed: int) -> list[Attack]:
    """Return the attacks in an order of this target's own, the same for the same seed."""
    ordered = list(attacks)
    random.Random(f"{seed} {target}").shuffle(ordered)
    return ordered


def uncontrolled(attempts: Iterable[Attempt], attacks: Iterable[Attack]) -> list[Attack]:
    """Return the attacks that no target let succeed."""
    seen = {one.attack.name for one in attempts if one.outcome is Outcome.SUCCEEDED}
    return [attack for attack in attacks if attack.name not in seen]


def control(seat: Seat, attack: Attack) -> Attempt:
    """Make an attack where it must succeed."""
    found: list[Attempt] = []
    attack_all(seat, doubles.find(attack.control), [attack], found.append)
    return found[0]
