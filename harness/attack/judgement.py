"""What became of an attack, and in which words it is told. Pure.

Rule: what a hostile script says of itself only explains why there was no proof of its success.
Where it reports nothing, there is no result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from workloads.attacks import Attack
from workloads.attacks.scene import Reply

MOST_EVIDENCE = 300
"""Characters of evidence that are kept."""

_TOLD = re.compile(rb"isobench-attack (done|nothing|refused|broke) ?([^\n]*)")


class Outcome(StrEnum):
    """What became of an attack."""

    BLOCKED = "blocked"
    SUCCEEDED = "succeeded"
    NOT_APPLICABLE = "not-applicable"
    ERROR = "error"


@dataclass(frozen=True)
class Attempt:
    """One attack on one target. `evidence` is what shows its outcome, in words.

    `language` is that of the target's scripts, and so of the attack's.
    """

    target: str
    attack: Attack
    outcome: Outcome
    evidence: str
    took_s: float
    language: str = "python"

    @property
    def script(self) -> str:
        """The attack's name, with its language where that is another than Python."""
        return self.attack.script_in(self.language)


@dataclass(frozen=True)
class Judgement:
    """What became of an attack, and of its server.

    `lost` says that it cost the server though that was not its goal, `late` that time was too short
    to tell, `refused` that each of its scripts was, by the first thing that it tried.
    """

    outcome: Outcome
    evidence: str
    lost: bool = False
    late: bool = False
    refused: bool = False


def was_refused(reply: Reply) -> bool:
    """Return whether the script reports that the first thing it tried was refused."""
    told = _TOLD.search(reply.raw)
    return told is not None and told[1] == b"refused"


def presentable(text: str) -> str:
    """Return text of hostile origin as one short line without anything that is not to be seen."""
    line = " ".join(text[: 4 * MOST_EVIDENCE].split())
    seen = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in line)
    return (
        seen
        if len(seen) <= MOST_EVIDENCE
        else seen[: MOST_EVIDENCE - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )


def explain(
    replies: Sequence[Reply], *, began: bool = True, may_be_ended: bool = False
) -> tuple[Outcome, str]:
    """Return why an attack shows no proof: what its script says, or what its client got. Pure.

    Of several requests, the first that was refused explains it best. A script that reports nothing
    has shown nothing, not even that it tried: that is an error, unless it did begin and the attack
    is `may_be_ended`.
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
        return Outcome.BLOCKED, "the script finished without an effect seen from outside"
    answer = _answer(replies)
    if not began:
        return Outcome.ERROR, f"the script never started: {answer}"
    if may_be_ended:
        return Outcome.BLOCKED, f"without an effect: {answer}"
    return Outcome.ERROR, f"the script ended without output: {answer}"


def _answer(replies: Sequence[Reply]) -> str:
    best = max(replies, key=lambda reply: reply.status, default=None)
    if best is None or best.status == 0:
        return "no answer"
    first_line = best.body[:MOST_EVIDENCE].decode("latin-1").partition("\n")[0].strip()
    return f"the server answered {best.status}: {first_line}"
