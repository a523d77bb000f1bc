"""What a summary's rows show about differences, and about trouble in their trials. Pure.

The statistics are those of `significance`; here they meet the table. All targets under one
condition are one table of comparisons with the baseline, so Holm's correction is over these.

**A bound is not a value.** Where the load generator was the limit, the target may be faster than
shown. Such a target can still be shown to be higher than the baseline, and a target lower than such
a baseline; the opposite finding, or "the same", is not shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from harness.results.blocks import texts
from harness.results.conditions import COLUMNS
from harness.stats.intervals import Interval, bootstrap_interval
from harness.stats.moderation import Scatter
from harness.stats.self_checks import PASSED
from harness.stats.significance import SMALLEST_EFFECT, Finding, holm, judge, paired_p
from harness.stats.steady_state import Steadiness

BOUND = "generator-bound"

Row = dict[str, Any]


def tested(ratios: Sequence[float], baseline: str, scatter: Scatter, *, is_baseline: bool) -> Row:
    """Return the columns that come from a target's ratios to the baseline, one a block.

    `scatter` is the scatter of other targets.

    The baseline itself, and a target that has no such ratio, is not tested.
    """
    name = f"ratio_to_{baseline}_bootstrap"
    if is_baseline or not ratios:
        return {"p_value": math.nan, f"{name}_low": math.nan, f"{name}_high": math.nan}
    interval = bootstrap_interval(ratios)
    return {
        "p_value": paired_p(ratios, scatter),
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
    }


def find_differences(
    rows: Iterable[Row],
    baseline: str,
    smallest_effect: float = SMALLEST_EFFECT,
) -> None:
    """Give each row `p_adjusted` and `difference`; these are empty where there is no comparison.

    A row comes with its `p_value`, the ratio's interval and its verdict.
    """

    def of(row: Row) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in COLUMNS)

    for _, table in groupby(sorted(rows, key=of), key=of):
        _find_in_table(list(table), baseline, smallest_effect)


def _find_in_table(table: Sequence[Row], baseline: str, smallest_effect: float) -> None:
    bound = {row["target"] for row in table if row["verdict"] == BOUND}
    adjusted = holm([row["p_value"] for row in table])
    for row, p_value in zip(table, adjusted, strict=True):
        row["p_adjusted"] = p_value
        row["difference"] = ""
        if not math.isnan(p_value):
            name = f"ratio_to_{baseline}"
            ratio = Interval(row[f"{name}_low"], row[name], row[f"{name}_high"])
            found = judge(ratio, p_value, smallest_effect)
            row["difference"] = str(
                _as_bounds(found, target=row["target"] in bound, baseline=baseline in bound)
            )


def _as_bounds(found: Finding, *, target: bool, baseline: bool) -> Finding:
    """Return what is left of a finding where the rate of one or both is only a lower bound."""
    kept = {
        (False, False): set(Finding),
        (True, False): {Finding.HIGHER},
        (False, True): {Finding.LOWER},
        (True, True): set[Finding](),
    }[target, baseline]
    return found if found in kept else Finding.UNSHOWN


def troubles(group: pd.DataFrame, valid: pd.DataFrame) -> Row:
    """Count the trials with each kind of trouble: of those that count, and all failed checks."""
    checks = texts(group["self_checks"])
    return {
        "unsteady": int((texts(valid["steady"]) == str(Steadiness.NONE)).sum()),
        "disturbed": int((texts(valid["disturbed"]) != "").sum()),
        "checked": int((checks != "").sum()),
        "failed_checks": int(((checks != "") & (checks != PASSED)).sum()),
    }
