"""The report's answer: a title with a number and its interval, and a few sentences. Pure.

The question is what it costs to run each script as its owner. It is answered from one condition:
the first whose interval is narrow enough, or else the first in which owners' scripts can be set
beside the baseline. A condition under which few of the targets were measured, as a page is beside
`hello`, answers nothing for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.results.conditions import BASELINE, Condition, by_condition
from harness.results.format import percent, percent_range, span
from harness.results.summary import WIDTH_LIMIT
from harness.stats.intervals import Interval
from reports.scope import Scope
from reports.words import attack_answer, findings

Row = Mapping[Any, Any]  # of a summary; pandas types the names as Hashable

_RATIO = f"ratio_to_{BASELINE}"


@dataclass(frozen=True)
class Answer:
    """The fastest target that runs scripts as their owners, beside the baseline.

    `rows` are all measured rows of the condition; `own` says what sets the condition apart from
    others, as the end of a clause.
    """

    condition: Condition
    own: str
    base: Row
    owner: Row
    rows: Sequence[Row]

    @property
    def bound(self) -> list[Row]:
        """Which of the two the load generator held back."""
        return [row for row in (self.base, self.owner) if row["verdict"] == "generator-bound"]

    @property
    def width(self) -> float:
        """Half the interval of the ratio, as a share of it; NaN where there is none."""
        ends = (float(self.owner[f"{_RATIO}{end}"]) for end in ("_low", "", "_high"))
        return Interval(*ends).width

    @property
    def is_sure(self) -> bool:
        """Whether this is an answer."""
        return not self.bound and self.width <= WIDTH_LIMIT


def find(summary: pd.DataFrame) -> Answer | None:
    """Return the answer of a summary, sure or not; None where it has none to the question."""
    measured = summary[summary["trials"] > 0]
    scope = Scope.of(measured)
    found = [
        Answer(condition, scope.after(condition) if place else "", base, owner, rows)
        for place, (condition, frame) in enumerate(by_condition(measured))
        if not condition.is_open
        for rows in [frame.to_dict("records")]
        if (base := _first(rows, "target", BASELINE))
        and (owner := _first(rows, "runs_as", "owner"))
    ]
    most = max((len(answer.rows) for answer in found), default=0)
    found = [answer for answer in found if 2 * len(answer.rows) > most]
    # One that the generator did not touch says more, sure or not, than one that it did.
    found.sort(key=lambda answer: (not answer.is_sure, bool(answer.bound)))
    return found[0] if found else None


def title(answer: Answer, stopped: Mapping[str, Any]) -> str:
    """Return the one line to remember; `stopped` is that of run.json."""
    if answer.bound:
        names = " and ".join(
            f"{row['target']} ({findings.rate(row)} requests per second)" for row in answer.bound
        )
        return f"No answer: the load generator was the limit of {names}"
    owner, ratio = answer.owner["target"], percent(answer.owner[_RATIO])
    said = f"{owner}, {ratio} of {BASELINE}{answer.own}"
    if not math.isfinite(answer.width):
        return f"No interval from one block; fastest with scripts run as their owners: {said}"
    interval = percent_range(answer.owner[f"{_RATIO}_low"], answer.owner[f"{_RATIO}_high"])
    if not answer.is_sure:
        return (
            f"No answer from this host in {_effort(answer, stopped)}: {said}, but with a 95% "
            f"interval of {interval}"
        )
    return f"Fastest with scripts run as their owners: {said} (95% interval {interval})"


def _effort(answer: Answer, stopped: Mapping[str, Any]) -> str:
    if stopped.get("by") == "budget":
        return f"its budget of {span(stopped['spent_s'])}"
    return f"{answer.owner['trials']} blocks"


def sentences(answer: Answer, attacks: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    """Return three to five sentences, as far as the results have matter for them."""
    return [
        _speed(answer),
        *_slowest(answer),
        *_security(attacks, summary),
        *findings.cost(answer.rows),
    ]


def _speed(answer: Answer) -> str:
    base, owner = answer.base, answer.owner
    return (
        f"{base['target']}, which runs every script as {findings.IDENTITIES[base['runs_as']]}, "
        f"answered {findings.rate(base)} requests per second; {owner['target']}, the fastest that "
        f"runs each script as its owner, {findings.rate(owner)} ({answer.condition.words()})."
    )


def _slowest(answer: Answer) -> Iterator[str]:
    owners = [row for row in answer.rows if row["runs_as"] == "owner"]
    if len(owners) < 2:
        return
    last = owners[-1]
    known = not answer.bound and math.isfinite(last[_RATIO])
    ratio = f", {percent(last[_RATIO])} of {BASELINE}" if known else ""
    yield (
        f"Of the {len(owners)} targets that run scripts as their owners, {last['target']} was the "
        f"slowest: {findings.rate(last)} requests per second{ratio}."
    )


def _security(attacks: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    if attacks.empty:
        return []
    return attack_answer.verdict(attacks, summary) or attack_answer.sentences(attacks, summary)[:1]


def _first(rows: Sequence[Row], column: str, value: str) -> Row | None:
    return next((row for row in rows if row[column] == value), None)
