"""What the trials that count have, block by block: the values that all statistics are of. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from harness.errors import IsobenchError
from harness.results.conditions import (
    BASELINE,
    COLUMNS,
    Condition,
    Key,
    by_target,
    of_targets,
    under,
)
from harness.stats.histogram import Histogram
from harness.stats.moderation import Scatter, common_scatter

_RATE = "requests_per_second"
_CPU = "server_cpu_us_per_request"


def counted(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials without those for which another attempt stands.

    Of the valid attempts of a block the undisturbed one counts, else the last (`interference` says
    why).
    """
    valid = trials["verdict"] == "ok"
    ranked = pd.DataFrame(
        {
            **{name: trials[name] for name in ("block", "target", *COLUMNS)},
            "disturbed": texts(trials["disturbed"]) != "",
            "attempt": -trials["attempt"].astype(float).fillna(1.0),
        }
    )[valid].sort_values(["disturbed", "attempt"], kind="stable")
    best = ranked.drop_duplicates(["block", "target", *COLUMNS]).index
    return trials[~valid | trials.index.isin(best)]


def valid_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the valid trials of targets that count."""
    good = of_targets(counted(trials))
    return good[good["verdict"] == "ok"]


def histograms(trials: pd.DataFrame, latency: pd.DataFrame) -> dict[Key, Histogram]:
    """Return the latencies of each target and condition, merged over the blocks.

    The clock is "response" where a trial has one (open loads), else "service".
    """
    return histograms_of(valid_trials(trials), latency)


def histograms_of(valid: pd.DataFrame, latency: pd.DataFrame) -> dict[Key, Histogram]:
    """Return the same of trials that are known to count."""
    chosen = (
        latency.assign(rank=latency["clock"] != "response")
        .sort_values(["trial", "rank"])
        .drop_duplicates("trial")
        .merge(valid[["trial", "tenants", "popularity"]], on="trial")
    )
    return {key: merged_histogram(group["hdr"]) for key, group in by_target(chosen)}


def merged_histogram(texts: Iterable[str]) -> Histogram:
    """Return the histogram of all latencies in a column `hdr`. Raises IsobenchError."""
    try:
        return Histogram.merged(map(Histogram.from_text, texts))
    except (ValueError, AttributeError) as error:  # of a text that is none, or of no text
        raise IsobenchError(
            f"the column hdr of a table of latencies is damaged: {error}",
            hint="restore the folder from a copy, or measure again with another --out",
        ) from error


def block_values(
    trials: pd.DataFrame, columns: Sequence[str], baseline: str = BASELINE
) -> dict[Key, dict[str, tuple[float, ...]]]:
    """Return the valid blocks' values of each target and condition, by column of trials.parquet.

    `ratio_to_dso` (or to another baseline) counts as a column too: the ratio within each block; and
    so does `capacity_ratio_to_dso`, that of what a core can serve, from the CPU time of a request.
    A block that has no such value is left out, so that the lengths may differ.
    """
    return block_values_of(valid_trials(trials), columns, baseline)


def block_values_of(
    valid: pd.DataFrame, columns: Sequence[str], baseline: str
) -> dict[Key, dict[str, tuple[float, ...]]]:
    """Return the same of trials that are known to count."""
    return {
        (target, condition): {
            name: tuple(_values(valid, group, condition, name, baseline)) for name in columns
        }
        for (target, condition), group in by_target(valid)
    }


def scatters_of(
    known: Mapping[Key, Sequence[float]], baseline: str = BASELINE
) -> dict[Condition, Scatter]:
    """Return what the targets of each condition have in common in the scatter of their ratios.

    `known` has a ratio a block. That of the baseline to itself does not count.
    """
    by: dict[Condition, list[Sequence[float]]] = {}
    for (target, condition), values in known.items():
        if target != baseline:
            by.setdefault(condition, []).append(values)
    return {condition: common_scatter(samples) for condition, samples in by.items()}


def per_block(valid: pd.DataFrame, column: str) -> pd.Series[float]:
    """One value a block, indexed by block. A block measured twice counts once.

    Zero is no value: a rate, time or cost of zero was below what could be resolved.
    """
    known = valid[(valid[column] > 0) & (valid[column] < math.inf)]
    return known.groupby("block")[column].median().astype(float)


def texts(column: pd.Series) -> pd.Series:
    """Return a column of texts without nulls."""
    return column.where(column.notna(), "").astype(str)


def _values(
    valid: pd.DataFrame, group: pd.DataFrame, condition: Condition, name: str, baseline: str
) -> list[float]:
    if name == f"ratio_to_{baseline}":
        return _ratios(group, _of_baseline(valid, condition, baseline, _RATE), baseline)
    if name == f"capacity_ratio_to_{baseline}":
        of_baseline = _of_baseline(valid, condition, baseline, _CPU)
        return (of_baseline / per_block(group, _CPU)).dropna().tolist()
    return per_block(group, name).tolist()


def _ratios(valid: pd.DataFrame, baseline_rates: pd.Series[float], baseline: str) -> list[float]:
    """Return a target's ratio to the baseline in each block that has both.

    That of an interleaved trial is to the baseline's rate at the same speed of the host.
    """
    ratios = per_block(valid, _RATE) / baseline_rates
    if baseline == BASELINE and "interleaved_ratio" in valid:
        ratios = per_block(valid, "interleaved_ratio").combine_first(ratios)
    return ratios.dropna().tolist()


def _of_baseline(
    valid: pd.DataFrame, condition: Condition, baseline: str, column: str
) -> pd.Series[float]:
    return per_block(under(valid[valid["target"] == baseline], condition), column)
