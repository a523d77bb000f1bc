"""From trials to one row for each target, workload and load: summary.csv. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from harness.results import verdicts
from harness.results.format import connection_words, load_words, readable, table_markdown
from harness.results.overload import overloaded
from harness.stats.histogram import Histogram
from harness.stats.intervals import (
    NOTHING,
    Interval,
    geometric_interval,
    quantile_ranks,
    ratio_interval,
)
from harness.stats.moderation import UNKNOWN, Scatter, common_scatter
from harness.stats.significance import SMALLEST_EFFECT

BASELINE = "dso"

CEILING = "ceiling"
"""The kind of trials that measure the generator; see `ceiling`. They are no targets."""

# Above this share of the generator's ceiling a rate tells of the generator: the target may be
# faster. Where no ceiling was measured, its CPU tells: above this, it had no time left.
GENERATOR_SHARE = 0.70
GENERATOR_LIMIT = 0.95
# Wider than this, or more of the processor stolen by the hypervisor, and a row is "noisy".
WIDTH_LIMIT = 0.15
STEAL_LIMIT = 0.05
# This share of disturbed blocks, that stayed so when they were made again, is "noisy" too.
DISTURBED_LIMIT = 0.2


class Condition(NamedTuple):
    """The conditions of a measurement. Compare only rows of the same condition."""

    workload: str
    load: str
    connection: str
    tenants: int
    popularity: str

    def words(self) -> str:
        """Return the condition as a heading."""
        return ", ".join(self.parts())

    def parts(self) -> tuple[str, ...]:
        """Return the parts of the heading: workload, load, connection, tenants."""
        tenants = "1 tenant" if self.tenants == 1 else f"{self.tenants} tenants"
        return self.workload, load_words(self.load), connection_words(self.connection), tenants

    @property
    def is_open(self) -> bool:
        """Whether requests were sent at a given rate, so that a ratio of rates means nothing."""
        return is_open(self.load)


_CONDITION = list(Condition._fields)
_CPU = "server_cpu_us_per_request"

Key = tuple[str, Condition]


def columns(baseline: str = BASELINE) -> list[str]:
    """Return the columns of summary.csv, in order."""
    ratio = f"ratio_to_{baseline}"
    return [
        *("target", "kind", "runs_as", "workload", "load", "connection", "trials"),
        *("requests_per_second", "requests_per_second_low", "requests_per_second_high"),
        *(ratio, f"{ratio}_low", f"{ratio}_high"),
        *("p50_ms", "p90_ms", "p99_ms", "p99_ms_low", "p99_ms_high"),
        *("server_cpu_us_per_request", "capacity_per_core", "memory_mib", "forks_per_request"),
        *("errors", "verdict"),
        *("tenants", "popularity", "p999_ms", "p99_ms_sample_low", "p99_ms_sample_high"),
        *("context_switches_per_request", "page_faults_per_request"),
        *("generator_cpu_share", "steal_share", "startup_s"),
        *("offered_per_second", "late", "late_worst_ms", "dropped"),
        *("ceiling_per_second", "ceiling_share"),
        *("p_value", "p_adjusted", "difference"),
        *(f"{ratio}_bootstrap_low", f"{ratio}_bootstrap_high"),
        *("unsteady", "disturbed", "checked", "failed_checks"),
    ]


def summarise(
    trials: pd.DataFrame,
    latency: pd.DataFrame,
    baseline: str = BASELINE,
    smallest_effect: float = SMALLEST_EFFECT,
) -> pd.DataFrame:
    """Return a row for each target and condition, best rate first within a condition.

    Rates, times and their intervals are geometric means over blocks
    (harness.stats.intervals says why); other numbers are medians over blocks. Void trials count in
    `errors` and nowhere else. Unknown values are NaN: every ratio where the baseline is missing,
    every interval from one block. A difference below `smallest_effect`, a share, does not matter
    (see `significance`).
    """
    trials = verdicts.counted(trials, _CONDITION)
    ceilings, trials = trials[trials["kind"] == CEILING], of_targets(trials)
    merged = histograms(trials, latency)
    name = f"ratio_to_{baseline}"
    ratios = block_values(trials, [name], baseline)
    scatters = scatters_of({key: one[name] for key, one in ratios.items()}, baseline)
    rows = [
        _row(
            key,
            group,
            _baseline_rates(trials, key[1], baseline),
            merged.get(key),
            baseline,
            UNKNOWN if key[0] == baseline else scatters.get(key[1], UNKNOWN),
        )
        | _below_ceiling(group, key[1], ceilings)
        for key, group in _groups(trials)
    ]
    for row in rows:
        if is_open(row["load"]):  # where the rate is given, it does not depend on the target
            row |= _named(name, NOTHING)
            row |= verdicts.tested((), baseline, UNKNOWN, is_baseline=False)
        if row["ceiling_share"] > GENERATOR_SHARE:
            row["verdict"] = "generator-bound"
    verdicts.find_differences(rows, _CONDITION, baseline, smallest_effect)
    rows.sort(key=_order)
    return pd.DataFrame(rows, columns=columns(baseline))


def of_targets(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials without those that measured the generator."""
    return trials[trials["kind"] != CEILING]


def is_open(load: str) -> bool:
    """Return whether requests were sent at a given rate."""
    return load.startswith("open:")


def is_portion(load: str) -> bool:
    """Return whether a load is a share of each target's own knee, as in a sweep."""
    return is_open(load) and load.endswith("%")


def portions_apart(summary: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of loads that mean the same to all targets, and those of a sweep."""
    portion = summary["load"].astype(str).map(is_portion).astype(bool)
    return summary[~portion].reset_index(drop=True), summary[portion].reset_index(drop=True)


def histograms(trials: pd.DataFrame, latency: pd.DataFrame) -> dict[Key, Histogram]:
    """Return the latencies of each target and condition, merged over the blocks.

    The clock is "response" where a trial has one (open loads), else "service".
    """
    trials = verdicts.counted(trials, _CONDITION)
    valid = trials[trials["verdict"] == "ok"][["trial", "tenants", "popularity"]]
    chosen = (
        latency.assign(rank=latency["clock"] != "response")
        .sort_values(["trial", "rank"])
        .drop_duplicates("trial")
        .merge(valid, on="trial")
    )
    return {
        key: Histogram.merged(Histogram.from_text(text) for text in group["hdr"])
        for key, group in _groups(chosen)
    }


def block_values(
    trials: pd.DataFrame, columns: Sequence[str], baseline: str = BASELINE
) -> dict[Key, dict[str, tuple[float, ...]]]:
    """Return the valid blocks' values of each target and condition, by column of trials.parquet.

    `ratio_to_dso` (or to another baseline) counts as a column too: the ratio within each block; and
    so does `capacity_ratio_to_dso`, that of what a core can serve, from the CPU time of a request.
    A block that has no such value is left out, so that the lengths may differ.
    """
    trials = of_targets(verdicts.counted(trials, _CONDITION))
    valid = trials[trials["verdict"] == "ok"]
    return {
        (target, condition): {
            name: tuple(_values(valid, group, condition, name, baseline)) for name in columns
        }
        for (target, condition), group in _groups(valid)
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


def _values(
    valid: pd.DataFrame, group: pd.DataFrame, condition: Condition, name: str, baseline: str
) -> list[float]:
    if name == f"ratio_to_{baseline}":
        return _ratios(group, _baseline_rates(valid, condition, baseline), baseline)
    if name == f"capacity_ratio_to_{baseline}":
        of_baseline = _of_baseline(valid, condition, baseline, _CPU)
        return (of_baseline / _per_block(group, _CPU)).dropna().tolist()
    return _per_block(group, name).tolist()


def _ratios(valid: pd.DataFrame, baseline_rates: pd.Series[float], baseline: str) -> list[float]:
    """Return a target's ratio to the baseline in each block that has both.

    That of an interleaved trial is to the baseline's rate in the same fractions of a second.
    """
    ratios = _per_block(valid, "requests_per_second") / baseline_rates
    if baseline == BASELINE and "interleaved_ratio" in valid:
        ratios = _per_block(valid, "interleaved_ratio").combine_first(ratios)
    return ratios.dropna().tolist()


def by_condition(summary: pd.DataFrame) -> Iterator[tuple[Condition, pd.DataFrame]]:
    """Split a summary into its conditions, in its order."""
    for key, rows in summary.groupby(_CONDITION, sort=False):
        yield _condition(key), rows.reset_index(drop=True)


def markdown(summary: pd.DataFrame, baseline: str = BASELINE) -> str:
    """Return the summary as GitHub tables, one for each condition, rounded for humans."""
    parts = [
        f"### {condition.words()}\n\n{table_markdown(readable(rows, baseline))}"
        for condition, rows in by_condition(summary)
    ]
    return "\n".join(parts) or "No trial has ended.\n"


def _groups(frame: pd.DataFrame) -> Iterator[tuple[Key, pd.DataFrame]]:
    for key, group in frame.groupby(["target", *_CONDITION], sort=False):
        target, *condition = _tuple(key)
        yield (str(target), _condition(condition)), group


def _condition(values: object) -> Condition:
    workload, load, connection, tenants, popularity = _tuple(values)
    return Condition(str(workload), str(load), str(connection), int(tenants), str(popularity))


def _tuple(values: object) -> tuple[Any, ...]:
    return tuple(values)  # type: ignore[arg-type]


def _row(
    key: Key,
    group: pd.DataFrame,
    baseline_rates: pd.Series[float],
    histogram: Histogram | None,
    baseline: str,
    scatter: Scatter,
) -> dict[str, Any]:
    valid = group[group["verdict"] == "ok"]
    rate = geometric_interval(_per_block(valid, "requests_per_second").tolist())
    ratios = _ratios(valid, baseline_rates, baseline)
    ratio = geometric_interval(ratios, scatter=scatter)
    p99 = geometric_interval(_per_block(valid, "p99_ms").tolist())
    cpu = geometric_interval(_per_block(valid, "server_cpu_us_per_request").tolist()).mid
    sample = _sample(histogram)
    target, condition = key
    return {
        "target": target,
        "kind": group["kind"].iloc[0],
        "runs_as": group["runs_as"].iloc[0],
        **condition._asdict(),
        "trials": len(valid),
        **_named("requests_per_second", rate),
        **_named(f"ratio_to_{baseline}", ratio),
        "p50_ms": geometric_interval(_per_block(valid, "p50_ms").tolist()).mid,
        "p90_ms": geometric_interval(_per_block(valid, "p90_ms").tolist()).mid,
        **_named("p99_ms", p99),
        "server_cpu_us_per_request": cpu,
        "capacity_per_core": 1e6 / cpu,
        **verdicts.tested(ratios, baseline, scatter, is_baseline=target == baseline),
        **verdicts.troubles(group, valid),
        "errors": _errors(group),
        "verdict": _verdict(group, valid, _to_be_steady(valid, rate, ratio)),
        "offered_per_second": geometric_interval(
            _per_block(valid, "offered_per_second").tolist()
        ).mid,
        "late": valid["late"].astype(float).sum(min_count=1),
        "late_worst_ms": valid["late_worst_ms"].astype(float).max(),
        "dropped": valid["dropped"].astype(float).sum(min_count=1),
        **sample,
        **{
            name: float(valid[name].median())
            for name in (
                *("memory_mib", "forks_per_request", "context_switches_per_request"),
                *("page_faults_per_request", "generator_cpu_share", "steal_share", "startup_s"),
            )
        },
    }


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.mid, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _per_block(valid: pd.DataFrame, column: str) -> pd.Series[float]:
    """One value a block, indexed by block. A block measured twice counts once.

    Zero is no value: a rate, time or cost of zero was below what could be resolved.
    """
    known = valid[valid[column] > 0]
    return known.groupby("block")[column].median().astype(float)


def _baseline_rates(trials: pd.DataFrame, condition: Condition, baseline: str) -> pd.Series[float]:
    return _of_baseline(trials, condition, baseline, "requests_per_second")


def _of_baseline(
    trials: pd.DataFrame, condition: Condition, baseline: str, column: str
) -> pd.Series[float]:
    same = (trials["verdict"] == "ok") & (trials["target"] == baseline)
    for name, value in condition._asdict().items():
        same &= trials[name] == value
    return _per_block(trials[same], column)


def _below_ceiling(
    group: pd.DataFrame, condition: Condition, ceilings: pd.DataFrame
) -> dict[str, float]:
    """Return what the generator can do, and which share of it a target's rate takes, by block."""
    ceiling = _ceiling_rates(ceilings, condition, str(group["runs_as"].iloc[0]))
    rates = _per_block(group[group["verdict"] == "ok"], "requests_per_second")
    return {
        "ceiling_per_second": geometric_interval(ceiling.tolist()).mid,
        "ceiling_share": _ratio(rates, ceiling).mid,
    }


def _ceiling_rates(ceilings: pd.DataFrame, condition: Condition, runs_as: str) -> pd.Series[float]:
    """Return the generator's own rate, by block: for clients with identities it is another."""
    same = (ceilings["verdict"] == "ok") & (
        (ceilings["runs_as"] == "client") == (runs_as == "client")
    )
    for name, value in condition._asdict().items():
        same &= ceilings[name] == value
    return _per_block(ceilings[same], "requests_per_second")


def _ratio(rates: pd.Series[float], baseline_rates: pd.Series[float]) -> Interval:
    blocks = rates.index.intersection(baseline_rates.index)
    return ratio_interval(rates.loc[blocks].tolist(), baseline_rates.loc[blocks].tolist())


def _sample(histogram: Histogram | None) -> dict[str, float]:
    """Return what only all the requests together can show; NaN where they are too few."""
    nan = math.nan
    empty = {"p999_ms": nan, "p99_ms_sample_low": nan, "p99_ms_sample_high": nan}
    if histogram is None:
        return empty
    ranks = quantile_ranks(histogram.count, 0.99)
    if ranks:
        empty["p99_ms_sample_low"] = histogram.at_rank(ranks[0]) / 1000
        empty["p99_ms_sample_high"] = histogram.at_rank(ranks[1]) / 1000
    if quantile_ranks(histogram.count, 0.999):
        empty["p999_ms"] = histogram.quantile(0.999) / 1000
    return empty


def _errors(group: pd.DataFrame) -> int:
    """Failed requests; a void trial counts as one at least."""
    failed = group["errors"].astype(float).fillna(0)
    return int(failed.clip(lower=(group["verdict"] != "ok").astype(float)).sum())


def _to_be_steady(valid: pd.DataFrame, rate: Interval, ratio: Interval) -> Interval:
    """Return what is to be steady: the rate, of an open load its share of what was offered.

    What is offered by a Poisson process differs between blocks as a matter of course. Of an
    interleaved target it is the ratio: whatever the host does to rates, it does to all.
    """
    if _interleaved(valid):
        return ratio
    offered = _per_block(valid, "offered_per_second")
    return rate if offered.empty else _ratio(_per_block(valid, "requests_per_second"), offered)


def _verdict(group: pd.DataFrame, valid: pd.DataFrame, rate: Interval) -> str:
    if valid.empty:
        return str(group["verdict"].mode().iloc[0])
    if valid["generator_cpu_share"].median() > GENERATOR_LIMIT:
        return "generator-bound"
    if rate.width > WIDTH_LIMIT:
        return "noisy"
    if _interleaved(valid):
        return "ok"
    if valid["steal_share"].median() > STEAL_LIMIT:
        return "noisy"
    if verdicts.troubles(group, valid)["disturbed"] >= DISTURBED_LIMIT * len(valid):
        return "noisy"
    return "ok"


def _interleaved(valid: pd.DataFrame) -> bool:
    """Return whether a target's trials shared their time with others."""
    return "slices" in valid and bool(valid["slices"].notna().any())


def _order(row: dict[str, Any]) -> tuple[object, ...]:
    condition = (_natural(str(row[name])) for name in _CONDITION)
    return (*condition, *_best_first(row), row["target"])


def _best_first(row: dict[str, Any]) -> tuple[float, float]:
    """Sort key: the highest rate first; where the rate is given, the shortest p99.

    Then those that could not keep up with it, last those without a valid trial.
    """
    rate, offered, load = row["requests_per_second"], row["offered_per_second"], row["load"]
    if math.isnan(rate):
        return 2, 0
    if not is_open(load) or is_portion(load):
        return 0, -rate
    return (1, -rate) if overloaded(rate, offered) else (0, row["p99_ms"])


def _natural(text: str) -> list[tuple[int, str]]:
    """Sort key by which closed:8 comes before closed:16."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
