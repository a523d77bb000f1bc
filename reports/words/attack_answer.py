"""The attacks in words: what was stopped, and whether a target can be both fast and safe. Pure.

The article's question is asked of the targets that were attacked and measured: is one as fast as
the baseline, and does it stop as large a share of the attacks as `SAFE`? It is asked twice, of what
isolation promises between tenants, and of what it promises between a tenant's requests as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from harness.results.conditions import BASELINE, Condition
from harness.results.format import connection_words, count, join, percent
from harness.results.verdicts import BOUND
from reports.words.attacks import (
    SAFE,
    Place,
    keep_requests_apart,
    placed,
    standings,
    undominated,
)

AS_FAST = 0.97
"""From this share of the baseline's rate on a target is as fast as it."""

_Placed = tuple[Condition, Sequence[Place]]


def sentences(attacks: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    """Return what the attacks say, and what security costs where speed was measured as well."""
    return [_overview(attacks), *_without_result(attacks), *verdict(attacks, summary)]


def verdict(attacks: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    """Return whether a target can be fast and safe; nothing where dso or harache is missing.

    It is asked under the first condition, and again where only the handling of connections differs.
    """
    found = [
        (condition, of_targets)
        for condition, of_targets in placed(attacks, summary)
        if {BASELINE, SAFE} <= {place.target for place in of_targets}
    ]
    if not found:
        return []
    (first, of_first), *others = found
    alike = [(one, of) for one, of in others if one == first._replace(connection=one.connection)]
    return [
        _between_tenants(of_first, alike),
        *_between_requests(of_first, alike),
        _trade_offs(of_first, first),
    ]


def _overview(attacks: pd.DataFrame) -> str:
    found = [one for one in standings(attacks) if one.total.counted]
    number = attacks["attack"].nunique()
    if not found:
        return f"None of the {number} attacks gave a result on any target."
    found = sorted(found, key=lambda one: -one.share)
    best, worst = found[0], found[-1]
    if len(found) == 1:
        return (
            f"Of {number} attacks {best.total.counted} applied to {best.target}, which stopped "
            f"{best.total.blocked}."
        )
    return (
        f"Of {number} attacks in {attacks['family'].nunique()} families, {best.target} stopped the "
        f"largest share, {percent(best.share)} ({best.total} that apply to it), and {worst.target} "
        f"the smallest, {percent(worst.share)} ({worst.total})."
    )


def _without_result(attacks: pd.DataFrame) -> Iterator[str]:
    errors = attacks[attacks["outcome"] == "error"]
    if len(errors):
        what, where = (join(list(errors[column].unique())) for column in ("attack", "target"))
        yield (
            f"{len(errors)} of {len(attacks)} attempts gave no result and are not counted: {what} "
            f"on {where}."
        )


def _between_tenants(found: Sequence[Place], alike: Sequence[_Placed]) -> str:
    """Answer whether one can be as fast as the baseline and as safe as harache between tenants."""
    by_name = {place.target: place for place in found}
    safe, baseline = by_name[SAFE], by_name[BASELINE]
    as_safe = _as_safe(found)
    both = [place for place in as_safe if place.ratio >= AS_FAST]
    at_least = "at least " if baseline.verdict == BOUND else ""
    if both:
        first = (
            f"A target can be as fast as {BASELINE} and stop as large a share of the attacks "
            f"between tenants as {SAFE} ({percent(safe.share)}): "
            f"{join([place.target for place in both])}"
        )
    else:
        fastest = _fastest(as_safe)
        first = (
            f"No target that was attacked is as fast as {BASELINE} "
            f"({at_least}{count(baseline.rate)} requests per second, {percent(baseline.share)} of "
            f"the attacks between tenants stopped) and stops as large a share of these as {SAFE} "
            f"({count(safe.rate)}, {percent(safe.share)}): the fastest that does is "
            f"{fastest.target}, with {count(fastest.rate)} requests per second, "
            f"{percent(fastest.ratio)} of {BASELINE}, and {percent(fastest.share)} stopped"
        )
    others = [_with_other_connections(_as_safe(of), one) for one, of in alike]
    return "; ".join([first, *others]) + "."


def _between_requests(found: Sequence[Place], alike: Sequence[_Placed]) -> Iterator[str]:
    """Answer the same where a tenant's requests have to be kept apart, too; if that was tried."""
    keeping = _keeping_both(found)
    if not keeping:
        return
    safe = next(place for place in found if place.target == SAFE)
    fastest = _fastest(keeping)
    as_harache = f"as {SAFE} does ({percent(safe.requests.share)} of the attacks on them stopped)"
    if fastest == _fastest(_as_safe(found)):
        first = f"{fastest.target} also keeps a tenant's requests from each other, {as_harache}"
    else:
        first = (
            f"Of those that also keep a tenant's requests from each other, {as_harache}, the "
            f"fastest is {fastest.target}, with {count(fastest.rate)} requests per second, "
            f"{percent(fastest.ratio)} of {BASELINE}"
        )
    others = [_with_other_connections(_keeping_both(of), one) for one, of in alike]
    yield "; ".join([first, *others]) + "."


def _trade_offs(found: Sequence[Place], condition: Condition) -> str:
    edge = undominated([(place.target, place.rate, place.share) for place in found])
    if len(edge) == len(found):
        return (
            f"Each of {join(edge)} is a trade-off of speed and security between tenants: of two, "
            f"the slower stops more ({condition.words()})."
        )
    return (
        f"The best trade-offs of speed and security between tenants are {join(edge)}: each of the "
        f"rest is slower than one of these that stops no less ({condition.words()})."
    )


def _with_other_connections(safe: Sequence[Place], condition: Condition) -> str:
    fastest = _fastest(safe)
    connections = connection_words(condition.connection)
    if fastest.ratio >= AS_FAST:
        return (
            f"with {connections} {fastest.target} is as fast as {BASELINE}: "
            f"{count(fastest.rate)}, {percent(fastest.ratio)} of {BASELINE}"
        )
    return (
        f"with {connections} the fastest is {fastest.target}, with "
        f"{count(fastest.rate)}, {percent(fastest.ratio)} of {BASELINE}"
    )


def _fastest(places: Sequence[Place]) -> Place:
    return max(places, key=lambda place: place.rate)


def _as_safe(found: Sequence[Place]) -> list[Place]:
    """Return those that stop as large a share between tenants as harache, itself among them."""
    safe = next(place for place in found if place.target == SAFE)
    return [one for one in found if one.share >= safe.share and one.target != BASELINE]


def _keeping_both(found: Sequence[Place]) -> list[Place]:
    """Return those that do so between requests, too; none where no such attack counts."""
    apart = keep_requests_apart(found)
    return [one for one in _as_safe(found) if one in apart]
