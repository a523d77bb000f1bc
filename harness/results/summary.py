"""From trials to one row for each target, workload and load: summary.csv. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness.results import verdicts
from harness.results.blocks import (
    block_values_of,
    counted,
    histograms_of,
    per_block,
    scatters_of,
)
from harness.results.conditions import (
    BASELINE,
    CEILING,
    COLUMNS,
    Condition,
    Key,
    by_condition,
    by_target,
    is_open,
    is_portion,
    of_targets,
    under,
)
from harness.results.format import readable, table_markdown
from harness.results.overload import overloaded
from harness.stats.histogram import Histogram
from harness.stats.intervals import (
    NOTHING,
    Interval,
    geometric_interval,
    has_quantile,
    quantile_ranks,
    ratio_interval,
)
from harness.stats.moderation import UNKNOWN, Scatter
from harness.stats.significance import SMALLEST_EFFECT

# Above this share of the generator's ceiling a rate measures the generator: the target may be
# faster. Where no ceiling was measured, its CPU tells: above this, it had no time left. But a
# server that used this share of its own processors was at its own limit: with any generator, it
# could be a tenth faster at most.
GENERATOR_SHARE = 0.70
GENERATOR_LIMIT = 0.95
SERVER_LIMIT = 0.90
# Wider than this, or more of the processor stolen by the hypervisor, and a row is "noisy".
WIDTH_LIMIT = 0.15
STEAL_LIMIT = 0.05
# This share of disturbed blocks, that stayed so when they were made again, is "noisy" too.
DISTURBED_LIMIT = 0.2


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
        *("server_cpu_share", "generator_cpu_share", "steal_share", "startup_s"),
        *("offered_per_second", "late", "late_worst_ms", "dropped"),
        *("ceiling_per_second", "ceiling_share"),
        *("p_value", "p_adjusted", "difference"),
        *(f"{ratio}_bootstrap_low", f"{ratio}_bootstrap_high"),
        *("unsteady", "disturbed", "checked", "failed_checks", "asked_first"),
    ]


def summarise(
    trials: pd.DataFrame,
    latency: pd.DataFrame,
    baseline: str = BASELINE,
    smallest_effect: float = SMALLEST_EFFECT,
    server_cores: int = 0,
) -> pd.DataFrame:
    """Return a row for each target and condition, best rate first within a condition.

    Rates, times and their intervals are geometric means over blocks
    (harness.stats.intervals says why); other numbers are medians over blocks. Void trials count in
    `errors` and nowhere else. Unknown values are NaN: every ratio where the baseline is missing,
    every interval from one block. A difference below `smallest_effect`, a share, does not matter
    (see `significance`). `server_cores` is how many processors the servers had to themselves; 0
    where that is not known, or the load generator had them too.
    """
    trials = counted(trials)
    ceilings, trials = trials[trials["kind"] == CEILING], of_targets(trials)
    valid = trials[trials["verdict"] == "ok"]
    merged = histograms_of(valid, latency)
    name = f"ratio_to_{baseline}"
    values = block_values_of(valid, [name], baseline)
    ratios = {key: own[name] for key, own in values.items()}
    scatters = scatters_of(ratios, baseline)
    rows = [
        _row(
            key,
            group,
            ratios.get(key, ()),
            merged.get(key),
            baseline,
            UNKNOWN if key[0] == baseline else scatters.get(key[1], UNKNOWN),
            server_cores,
        )
        | _below_ceiling(group, key[1], ceilings)
        for key, group in by_target(trials)
    ]
    for row in rows:
        if is_open(row["load"]):  # where the rate is given, it does not depend on the target
            row |= _named(name, NOTHING)
            row |= verdicts.tested((), baseline, UNKNOWN, is_baseline=False)
        if row["trials"] and _generator_bound(row):
            row["verdict"] = verdicts.BOUND
    verdicts.find_differences(rows, baseline, smallest_effect)
    rows.sort(key=_order)
    return pd.DataFrame(rows, columns=columns(baseline))


def markdown(summary: pd.DataFrame, baseline: str = BASELINE) -> str:
    """Return the summary as GitHub tables, one for each condition, rounded for humans."""
    parts = [
        f"### {condition.words()}\n\n{table_markdown(readable(rows, baseline))}"
        for condition, rows in by_condition(summary)
    ]
    return "\n".join(parts) or "No trial has ended.\n"


def _row(
    key: Key,
    group: pd.DataFrame,
    ratios: Sequence[float],
    histogram: Histogram | None,
    baseline: str,
    scatter: Scatter,
    server_cores: int,
) -> dict[str, Any]:
    valid = group[group["verdict"] == "ok"]
    rate = geometric_interval(per_block(valid, "requests_per_second").tolist())
    ratio = geometric_interval(ratios, scatter=scatter)
    p99 = geometric_interval(per_block(valid, "p99_ms").tolist())
    cpu = geometric_interval(per_block(valid, "server_cpu_us_per_request").tolist()).mid
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
        "p50_ms": geometric_interval(per_block(valid, "p50_ms").tolist()).mid,
        "p90_ms": geometric_interval(per_block(valid, "p90_ms").tolist()).mid,
        **_named("p99_ms", p99),
        "server_cpu_us_per_request": cpu,
        "capacity_per_core": 1e6 / cpu,
        "server_cpu_share": _server_share(valid, server_cores),
        **verdicts.tested(ratios, baseline, scatter, is_baseline=target == baseline),
        **verdicts.troubles(group, valid),
        "errors": _errors(group),
        "verdict": _verdict(group, valid, _to_be_steady(valid, rate, ratio)),
        "offered_per_second": geometric_interval(
            per_block(valid, "offered_per_second").tolist()
        ).mid,
        "late": valid["late"].astype(float).sum(min_count=1),
        "late_worst_ms": valid["late_worst_ms"].astype(float).max(),
        "asked_first": valid["asked_first"].astype(float).min(),
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


def _server_share(valid: pd.DataFrame, cores: int) -> float:
    """Return how much of their own processors the servers used, in the median block."""
    used = valid["requests_per_second"] * valid["server_cpu_us_per_request"].astype(float) / 1e6
    return float(used.median()) / cores if cores else math.nan


def _generator_bound(row: Mapping[str, Any]) -> bool:
    """Return whether the load generator may have been the limit, and the server was not."""
    near = row["ceiling_share"] > GENERATOR_SHARE or row["generator_cpu_share"] > GENERATOR_LIMIT
    return bool(near and not row["server_cpu_share"] >= SERVER_LIMIT)


def _below_ceiling(
    group: pd.DataFrame, condition: Condition, ceilings: pd.DataFrame
) -> dict[str, float]:
    """Return what the generator can do, and which share of it a target's rate takes, by block."""
    ceiling = _ceiling_rates(ceilings, condition, str(group["runs_as"].iloc[0]))
    rates = per_block(group[group["verdict"] == "ok"], "requests_per_second")
    return {
        "ceiling_per_second": geometric_interval(ceiling.tolist()).mid,
        "ceiling_share": _ratio(rates, ceiling).mid,
    }


def _ceiling_rates(ceilings: pd.DataFrame, condition: Condition, runs_as: str) -> pd.Series[float]:
    """Return the generator's own rate, by block: for clients with identities it is another."""
    same = (ceilings["verdict"] == "ok") & (
        (ceilings["runs_as"] == "client") == (runs_as == "client")
    )
    return per_block(under(ceilings[same], condition), "requests_per_second")


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
    if has_quantile(histogram.count, 0.999):
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
    offered = per_block(valid, "offered_per_second")
    return rate if offered.empty else _ratio(per_block(valid, "requests_per_second"), offered)


def _verdict(group: pd.DataFrame, valid: pd.DataFrame, rate: Interval) -> str:
    if valid.empty:
        return str(group["verdict"].mode().iloc[0])
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
    condition = (_natural(str(row[name])) for name in COLUMNS)
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
