"""What explains the modes: sentences, and a table of `harness.results.analysis.mechanism_cost`.

Where the modes were profiled, the phases that take longest beyond their time in `dso` say where to
look for what is left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from harness.results.analysis.mechanism_cost import LIMIT, WORKLOAD, Amount, Explanation, Part
from harness.results.conditions import BASELINE
from harness.results.format import NONE, duration, join

Phase = tuple[str, float]
"""Its name, and how many microseconds it takes beyond the baseline's."""
_MOST_PHASES = 3
_WORTH_NAMING = 0.1
"""Of what a target's phases take beyond those of the baseline."""


def table(explanations: Sequence[Explanation]) -> pd.DataFrame:
    """Return a row a target, as texts; the last column but one is the verdict."""
    return pd.DataFrame(
        [
            {
                "target": one.target,
                "measured": duration(one.measured_us),
                "from its parts": duration(one.predicted.us),
                "±": _half(one.predicted),
                "difference": f"{100 * one.difference:+.0f}%",
                "rest": _signed(one.rest_us),
                "verdict": "explained" if one.explained else "unexplained",
                "made of": "; ".join(
                    f"{part.words} {_with_half(part.amount)}" for part in _telling(one)
                ),
            }
            for one in explanations
        ]
    )


def _half(amount: Amount) -> str:
    return duration(amount.half_us) if math.isfinite(amount.half_us) else NONE


def _with_half(amount: Amount) -> str:
    """Return an amount with half of its interval, where it has one."""
    exact = not amount.half_us > 0  # what the baseline takes is as measured; one block has none
    return _signed(amount.us) if exact else f"{_signed(amount.us)} ±{duration(amount.half_us)}"


def _signed(us: float) -> str:
    """Return a duration that may be below zero."""
    return f"\N{MINUS SIGN}{duration(-us)}" if us < 0 else duration(us)


def most_expensive_phases(phases: pd.DataFrame, profiles: pd.DataFrame) -> dict[str, list[Phase]]:
    """Return the phases in which each target takes longest beyond the baseline, longest first.

    From phases.parquet and profiles.parquet. A phase that the baseline has not counts in full.
    Nothing where the baseline was not profiled with the workload.
    """
    fits = profiles.loc[profiles["workload"] == WORKLOAD, "target"]
    medians = phases[phases["target"].isin(fits)].pivot_table(
        values="median_us", index=["part", "phase"], columns="target", fill_value=0.0
    )
    if BASELINE not in medians:
        return {}
    found = {}
    for target, beyond in medians.sub(medians[BASELINE], axis="index").items():
        more = beyond[beyond > 0].sort_values(ascending=False, kind="stable")
        telling = more[more >= _WORTH_NAMING * more.sum()].head(_MOST_PHASES)
        names = telling.index.get_level_values("phase")
        found[str(target)] = [
            (str(name), float(us)) for name, us in zip(names, telling, strict=True)
        ]
    return found


def findings(
    explanations: Sequence[Explanation],
    most_expensive: Mapping[str, Sequence[Phase]] | None = None,
) -> list[str]:
    """Return how many targets are explained, by what, and what is left of the others.

    For the latter also, from `most_expensive`, the phases by target that take its additional time.
    """
    held = [one for one in explanations if one.explained]
    verb = "is" if len(held) == 1 else "are"
    return [
        f"{len(held)} of {len(explanations)} targets {verb} explained within {LIMIT:.0%} by what "
        "they are made of.",
        *(_made_of(one) for one in held),
        *(_rest(one, (most_expensive or {}).get(one.target, ())) for one in _off(explanations)),
    ]


def _made_of(one: Explanation) -> str:
    parts = join([f"{part.words} ({_signed(part.amount.us)})" for part in _telling(one)])
    return f"{one.target} costs {duration(one.measured_us)} of CPU time a request: {parts}."


def _rest(one: Explanation, phases: Sequence[Phase]) -> str:
    """Return what the parts of a target leave open, or that they come to more than it takes."""
    off = f"{one.target} ({100 * one.difference:+.0f}%)"
    if one.rest_us < 0:
        return (
            f"The parts come to {duration(-one.rest_us)} more than {off}: something is cheaper "
            "within the mode than measured alone, or is counted twice."
        )
    where = join([f"{name} ({duration(us)})" for name, us in phases])
    looked = (
        f"; by its profile, {one.target} exceeds {BASELINE} most in {where}"
        if where
        else f"; a profile (isobench profile --modes {one.target} --out) shows where to look"
    )
    return f"{duration(one.rest_us)} of {off} are left unexplained{looked}."


def _off(explanations: Sequence[Explanation]) -> list[Explanation]:
    """Return the targets that are not explained, the furthest first."""
    off = [one for one in explanations if not one.explained]
    return sorted(off, key=lambda one: -abs(one.difference))


def _telling(one: Explanation) -> list[Part]:
    """Return the parts that are more than a hundredth of the sum, the most expensive first."""
    telling = [part for part in one.parts if abs(part.amount.us) > one.predicted.us / 100]
    return sorted(telling, key=lambda part: -part.amount.us)
