"""A trial's own counts: they agree, or it is void; Little's law is kept in words."""

from dataclasses import replace
from typing import Any

import numpy as np

from harness.plan.loads import Closed
from harness.results.rows import TrialRow
from harness.trial.judging.assess import assess
from harness.trial.judging.self_check import checked
from harness.trial.outcome import Seen, Trial
from tests.harness.trial.judging.test_assess import (
    FIRST,
    LAST,
    ROW,
    SPECS,
    STEADY_DONE,
    evenly,
    loop,
)


def assessed() -> Trial:
    trial = assess(ROW, STEADY_DONE, loop(evenly((9.6, 12.0, 1000))), FIRST, LAST)
    return replace(trial, row=replace(trial.row, served=2402))


def self_checked(**changes: Any) -> TrialRow:
    return checked(seen(Closed(2), **changes), assessed(), None).row


def seen(load: Closed, **changes: Any) -> Seen:
    spec = replace(SPECS[0], load=load)
    return Seen(spec, ROW, STEADY_DONE | changes, np.empty((0, 2)), FIRST, LAST)


def test_self_checks_passed() -> None:
    assert (self_checked().verdict, self_checked().self_checks) == ("ok", "passed")


def test_counts_that_contradict_make_a_trial_void() -> None:
    row = self_checked(requests_total=2410)
    assert row.verdict.startswith("void: a self-check failed: the client has 2412 answers")
    assert row.self_checks == row.first_error.removeprefix("a self-check failed: ")  # type: ignore[union-attr]
    assert row.requests_per_second is None
    assert row.sent == 2402


def test_a_rest_that_was_measured_decides_instead_of_processor_time() -> None:
    busy = {"generator_cpu_s": 2.0}  # as long as requests take: nothing could contradict it
    row = checked(seen(Closed(3), **busy), assessed(), None).row
    assert row.self_checks == "passed"
    row = checked(seen(Closed(3), rest_s=1e-6, **busy), assessed(), None).row
    assert (row.self_checks or "").startswith("Little's law: 3 users")
    row = checked(seen(Closed(3), rest_s=1e-3), assessed(), None).row
    assert row.self_checks == "passed"


def test_a_contradiction_of_littles_law_is_kept_in_words() -> None:
    row = checked(seen(Closed(3)), assessed(), None).row
    assert row.verdict == "ok"
    assert (row.self_checks or "").startswith("Little's law: 3 users")
