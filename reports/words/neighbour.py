"""What a report says of noisy neighbours: sentences, and a table of texts. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from harness.results.analysis.neighbour import NOISES, UNLIMITED, Effect
from harness.results.format import NONE, duration, join, percent

HEADING = "Noisy neighbours"
TIMES = "\N{MULTIPLICATION SIGN}"
TITLES = {
    UNLIMITED: "without limits",
    "rlimits": "with resource limits (rlimits)",
    "cgroup": "with limits (cgroup and rlimits)",
}
_MOST_NAMED = 4
_WHOLE = 10


def sentences(effects: Sequence[Effect]) -> list[str]:
    """Return what each noise does to the quiet tenant."""
    # By noise, so that what limits change stands side by side.
    order = sorted(effects, key=lambda one: NOISES.index(one.noise))
    kinds = dict.fromkeys((one.limits, one.noise) for one in order)
    several = len({limits for limits, _ in kinds}) > 1
    return [
        sentence
        for limits, noise in kinds
        for sentence in _of_noise(
            [one for one in effects if (one.limits, one.noise) == (limits, noise)], several
        )
    ]


def _of_noise(effects: Sequence[Effect], several: bool) -> Iterator[str]:
    first = effects[0]
    where = f"`{first.noise}`"
    if several:
        where += f" {TITLES.get(first.limits, first.limits)}"
    known = [one for one in effects if not math.isnan(one.ratio.mid)]
    if not known:
        yield f"{where}: nothing was measured."
        return
    stopped = [one.target for one in known if one.refused == 1.0]
    worst = max(known, key=_weight)
    best = min(known, key=_weight)
    sentence = f"{where}: from {_outcome(best)} ({best.target}) to {_outcome(worst)}"
    yield f"{sentence} ({worst.target})." if best is not worst else f"{where}: {_outcome(worst)}."
    if stopped:
        others = f" and {len(stopped) - _MOST_NAMED} more" if len(stopped) > _MOST_NAMED else ""
        yield f"{where} is stopped completely by {join(stopped[:_MOST_NAMED])}{others}."


def _weight(effect: Effect) -> tuple[float, float]:
    return effect.lost, effect.ratio.mid


def _outcome(effect: Effect) -> str:
    """Return what became of the quiet tenant."""
    lost = f", {percent(effect.lost)} lost" if effect.lost else ""
    return f"{times(effect)} the p99 alone{lost}"


def times(effect: Effect) -> str:
    """Return the ratio as a text, such as "3.2 times"."""
    ratio = effect.ratio.mid
    return f"{ratio:.0f} times" if ratio >= _WHOLE else f"{ratio:.1f} times"


def matrix(effects: Sequence[Effect], limits: str) -> pd.DataFrame:
    """Return the ratios under these limits as texts: a row a target, a column a noise."""
    chosen = [one for one in effects if one.limits == limits]
    noises = dict.fromkeys(one.noise for one in chosen)
    cells = {(one.target, one.noise): label(one) for one in chosen}
    return pd.DataFrame(
        [
            {"target": target} | {noise: cells.get((target, noise), NONE) for noise in noises}
            for target in dict.fromkeys(one.target for one in chosen)
        ]
    )


def label(one: Effect) -> str:
    """Return the ratio, and what share of the requests was lost, in few letters."""
    if math.isnan(one.ratio.mid):
        return "void"
    if one.lost == 1:
        return "all lost"  # the ratio says how long that was waited for
    mid = one.ratio.mid
    ratio = (f"{mid:.0f}" if mid >= _WHOLE else f"{mid:.1f}") + TIMES
    lost = f", {percent(one.lost)} lost" if one.lost else ""
    return f"{ratio}{lost}"


def table(effects: Sequence[Effect]) -> pd.DataFrame:
    """Return the effects as texts, a row each."""
    return pd.DataFrame([_row(one) for one in effects])


def _row(one: Effect) -> dict[str, str]:
    bound = "≥ " if one.is_bound else ""
    return {
        "target": one.target,
        "noise": one.noise,
        "limits": one.limits,
        "p99 alone": _time(one.alone_ms),
        "p99": f"{bound}{_time(one.p99_ms)}",
        "ratio": NONE if math.isnan(one.ratio.mid) else f"{one.ratio.mid:.2f}",
        "95% interval": _range(one),
        "lost": percent(one.lost),
        "noise refused": NONE if one.refused is None else percent(one.refused),
        "note": one.failed,
    }


def _time(milliseconds: float) -> str:
    return NONE if math.isnan(milliseconds) else duration(1000 * milliseconds)


def _range(one: Effect) -> str:
    if math.isnan(one.ratio.low):
        return NONE
    return f"{one.ratio.low:.2f} to {one.ratio.high:.2f}"
