"""What in the numbers of a run weakens them, the gravest first. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from harness.errors import Caution
from harness.results.conditions import BASELINE, by_condition
from harness.results.format import first_few
from harness.results.overload import LEAST_SHARE

# How many targets a caution names: at most the first where it means all, else the second.
_FEW, _MANY = 3, 6


def cautions(summary: pd.DataFrame, baseline: str = BASELINE) -> list[Caution]:
    """Return what in a summary weakens its numbers, the gravest first.

    First what makes numbers wrong, then which are missing, then how the others must be read, and
    last what makes them less certain.
    """
    if summary.empty:
        advice = "finish the run: isobench run --resume with this folder"
        return [Caution("no trial has ended", advice)]
    return [
        *failed_checks(summary),
        *_no_valid_trial(summary),
        *_missing_baseline(summary, baseline),
        *_by_verdict(summary),
        *_one_block(summary),
    ]


def failed_checks(summary: pd.DataFrame) -> list[Caution]:
    """Return what makes all else doubtful, so that it stands first."""
    failed = summary[summary["failed_checks"] > 0]
    if failed.empty:
        return []
    checks, of_all = failed["failed_checks"].sum(), summary["checked"].sum()
    return [
        Caution(
            f"self-checks failed in {checks} of {of_all} trials: {_list(failed, summary)}",
            "see self_checks in trials.parquet, and do not use their numbers until the cause is "
            "known",
        )
    ]


def _no_valid_trial(summary: pd.DataFrame) -> Iterator[Caution]:
    void = summary[summary["verdict"].astype(str).str.startswith("void")]
    if not void.empty:
        yield Caution(
            f"no valid trial: {_list(void, summary)}",
            "see first_error in trials.parquet, fix the cause, and run again",
        )


def _missing_baseline(summary: pd.DataFrame, baseline: str) -> list[Caution]:
    absent: list[str] = []
    void: list[str] = []
    for condition, rows in by_condition(summary):
        own = rows[rows["target"] == baseline]
        if condition.is_open or (own["trials"] > 0).any():
            continue
        (void if len(own) else absent).append(condition.words())
    return [
        Caution(f"there are no ratios, because {baseline} {why}: {'; '.join(where)}", advice)
        for why, where, advice in (
            ("was not measured", absent, f"include {baseline} in --modes"),
            (
                "has no valid trial",
                void,
                "see its first_error in trials.parquet, fix the cause, and run again",
            ),
        )
        if where
    ]


def _by_verdict(summary: pd.DataFrame) -> Iterator[Caution]:
    verdict = summary["verdict"].astype(str)
    for about, advice, rows in (
        (
            "these have void trials, which are left out",
            "see first_error in trials.parquet",
            summary[~verdict.str.startswith("void") & (summary["errors"] > 0)],
        ),
        (
            "the load generator was near its own limit, so these may be faster than shown",
            "read their rate as a lower bound, and compare them by CPU per request",
            summary[verdict == "generator-bound"],
        ),
        (
            "these were overloaded, so their times are those of a growing queue",
            "read their rate as their capacity, and offer less, such as 80% of it",
            summary[summary["requests_per_second"] < LEAST_SHARE * summary["offered_per_second"]],
        ),
        (
            "not all tenants were requested before the measurement, so these were also starting "
            "workers for first requests",
            "measure with fewer tenants, or with isobench density --wake, which gives them time",
            summary[summary["asked_first"] < summary["tenants"]],
        ),
        (
            "requests were still unanswered 5 s after the window",
            "read quantiles of five seconds and more as lower bounds",
            summary[summary["dropped"] > 0],
        ),
        (
            "the blocks vary widely, or other work took processor time",
            "measure on a quieter machine, or with more --blocks and --seconds",
            summary[verdict == "noisy"],
        ),
        (
            f"in {summary['unsteady'].sum()} of {summary['trials'].sum()} trials the rate was "
            f"still changing at the end, so there was no steady state",
            "measure with more --seconds; the column steady of trials.parquet says which trials",
            summary[summary["unsteady"] > 0],
        ),
        (
            "other work used the server's core in some blocks, even when they were repeated",
            "stop other work on this host; the column disturbed of trials.parquet says what it was",
            summary[summary["disturbed"] > 0],
        ),
    ):
        if not rows.empty:
            yield Caution(f"{about}: {_list(rows, summary)}", advice)


def _one_block(summary: pd.DataFrame) -> list[Caution]:
    few = summary[summary["trials"] == 1]
    if few.empty:
        return []
    return [
        Caution(
            f"only one valid block, so no interval: {_list(few, summary)}",
            "measure with --blocks 5 or more",
        )
    ]


def _list(rows: pd.DataFrame, summary: pd.DataFrame) -> str:
    """Name the targets of these rows; all of many, or very many, are not named one by one."""
    names, everyone = (
        list(dict.fromkeys(frame["target"].astype(str))) for frame in (rows, summary)
    )
    if len(names) > _FEW and len(names) == len(everyone):
        return f"all {len(names)} targets"
    return first_few(names, _MANY)
