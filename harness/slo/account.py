"""What a load at a rate says of a promise. Pure.

Strategy. A load keeps the promise where all of its clauses hold and the queue did not grow: of a
rate that is too high, a short load would otherwise see only the beginning of a queue without end.

**Whose fault.** A request may be late since the generator was slow. The generator had a reason to
wait only until the request was due and one of its connections was free; what it waited after that
is its own. A promise that would be kept without that, or that breaks while the generator has hardly
any processor time left, is broken by the generator: nothing is known of the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from harness.slo.promise import Finding, Promise, Times
from harness.slo.search import Look
from workloads.load.schedule import COMPLETED, INTENDED, SERVICE_US

MOST_GROWTH: Final = 0.05
"""Of the requests that were due: a queue that grew by more was not at rest."""
_ALWAYS: Final = 3
"""So many requests may be on their way at the end, however few there were."""
MOST_BUSY: Final = 0.9
"""Of the window: a generator that ran, or waited for a processor, for longer was too slow."""
_OK: Final = 200


@dataclass(frozen=True)
class Account:
    """What became of an open load.

    `response_us` has an entry for each request that was due in the window; infinite where there
    was no answer. `own_delay_us` is how long the generator made each of them wait. `grown` says
    whether the queue grew; `failed_share` is of all requests. `busy_share` is of the window.
    """

    response_us: Times
    own_delay_us: Times
    answered: int
    dropped: int
    grown: bool
    failed_share: float
    busy_share: float


def account(rows: Times, done: Mapping[str, Any], connections: int) -> Account:
    """Take stock of an open load's rows, an array of shape (n, 3); see `workloads.load.schedule`.

    `done` is what the generator says of the load; it had so many connections.
    """
    begin, end = done["window"]
    rows = rows[np.argsort(_sent(rows), kind="stable")]
    inside = (rows[:, INTENDED] >= begin) & (rows[:, INTENDED] < end)
    unanswered = np.isnan(rows[:, SERVICE_US])
    response_us = np.where(unanswered, np.inf, (rows[:, COMPLETED] - rows[:, INTENDED]) * 1e6)
    in_time = (rows[:, COMPLETED] >= begin) & (rows[:, COMPLETED] < end) & ~unanswered
    due, answered = int(inside.sum()), int(in_time.sum())
    failed = done["errors"] - done["unanswered"] + int(unanswered.sum())
    return Account(
        response_us=response_us[inside],
        own_delay_us=own_delays_us(rows, connections)[inside],
        answered=answered,
        dropped=int((inside & unanswered).sum()),
        grown=due - answered > MOST_GROWTH * due + _ALWAYS,
        failed_share=failed / max(1, len(rows)),
        busy_share=(done["generator_cpu_s"] + done["generator_waited_s"]) / (end - begin),
    )


def _sent(rows: Times) -> Times:
    """Return when each request was sent, in seconds; of one without an answer, when it was due."""
    sent = rows[:, COMPLETED] - rows[:, SERVICE_US] / 1e6
    return np.where(np.isnan(sent), rows[:, INTENDED], sent)


def own_delays_us(rows: Times, connections: int) -> Times:
    """Return how long the generator itself made each request wait; rows in order of sending."""
    sent, intended = _sent(rows), rows[:, INTENDED]
    free = np.full(len(rows), -np.inf)
    # The request that is sent after `connections` others needs one of these to be complete.
    free[connections:] = np.sort(rows[:, COMPLETED])[: max(0, len(rows) - connections)]
    delays: Times = np.maximum(0.0, sent - np.maximum(intended, free)) * 1e6
    return delays


def judge(promise: Promise, load: Account) -> tuple[Look, Finding]:
    """Return what a load of one request at least says, and by which clause."""
    finding = promise.judge(load.response_us, load.failed_share)
    if _holds(promise, finding, load):
        return Look.KEPT, finding
    blameless = promise.judge(load.response_us - load.own_delay_us, load.failed_share)
    if load.busy_share > MOST_BUSY or _holds(promise, blameless, load):
        return Look.BOUND, finding
    return Look.BROKEN, finding


def _holds(promise: Promise, finding: Finding, load: Account) -> bool:
    is_sound = promise.allows_errors or not load.failed_share
    return finding.is_kept and not load.grown and is_sound


def wrong_answer(done: Mapping[str, Any]) -> str | None:
    """Return why a load must not be believed: somebody else's answer, under load.

    A status that reports trouble (503, or 504 for a script that took too long) is not that, but
    an error that a rate brings with it.
    """
    evidence = done["evidence"]
    if not evidence or evidence.get("status") != _OK:
        return None
    return f"{done['errors']} wrong answers, first: {evidence['reason']}"
