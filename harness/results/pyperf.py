"""A results folder in the format of another tool: pyperf.

A benchmark of pyperf's is one target under one condition; a run of pyperf's, which is one process
that yields values, is a block, in which the server was started afresh. So pyperf's own statistics,
`pyperf stats` and `pyperf compare_to`, treat blocks as the replicates, as isobench does.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from harness import extras
from harness.errors import IsobenchError
from harness.results.blocks import valid_trials
from harness.results.conditions import Condition
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest
from harness.results.provenance import facts

# metric: pyperf's unit, and the number in it. In all of them less is better, as pyperf takes for
# granted; hence not the rate, but its inverse, the mean time from one answer to the next.
METRICS: Mapping[str, tuple[str, Callable[[float], float]]] = {
    "requests_per_second": ("second", lambda rate: 1 / rate),
    "server_cpu_us_per_request": ("second", lambda value: value / 1e6),
    "mean_ms": ("second", lambda value: value / 1000),
    "p50_ms": ("second", lambda value: value / 1000),
    "p90_ms": ("second", lambda value: value / 1000),
    "p99_ms": ("second", lambda value: value / 1000),
    "startup_s": ("second", lambda value: value),
    "memory_mib": ("byte", lambda value: value * 2**20),
}


def pyperf_json(folder: ResultsFolder, metric: str = "requests_per_second") -> str:
    """Return a suite of pyperf's as JSON: a benchmark for each target and condition.

    Raises IsobenchError for a metric that has no unit of pyperf's, or that no good trial has, and
    where pyperf is missing.
    """
    if metric not in METRICS:
        raise IsobenchError(
            f"{metric!r} cannot be exported to pyperf",
            hint=f"the metrics are {', '.join(METRICS)}",
        )
    trials = valid_trials(folder.trials())
    good = trials[trials[metric] > 0]
    if good.empty:
        raise IsobenchError(
            f"{folder.path} has no valid trial with {metric}",
            hint="choose another --metric, or finish the run with isobench run --resume",
        )
    pyperf = extras.load("pyperf", "pyperf", "pyperf")
    common = _metadata(folder.manifest, metric)
    benchmarks = [
        pyperf.Benchmark(
            [pyperf.Run(**_run(block, metric, {**common, "name": name})) for block in blocks]
        )
        for name, blocks in _benchmarks(good)
    ]
    buffer = io.StringIO()
    pyperf.BenchmarkSuite(benchmarks).dump(buffer, compact=False)
    return buffer.getvalue()


def _benchmarks(good: pd.DataFrame) -> Iterator[tuple[str, list[pd.DataFrame]]]:
    """Yield each benchmark's name with its blocks."""
    names = ["target", "workload", "load", "connection"]
    # Only where they tell rows apart, so that the usual name is short and the same in every run.
    names += [name for name in ("tenants", "popularity") if good[name].nunique() > 1]
    for _, rows in good.groupby(["target", *Condition._fields], sort=False):
        name = "/".join(_label(name, rows[name].iloc[0]) for name in names)
        yield name, [block for _, block in rows.groupby("block")]


def _label(column: str, value: object) -> str:
    return f"tenants:{value}" if column == "tenants" else str(value)


def _run(block: pd.DataFrame, metric: str, metadata: Mapping[str, object]) -> dict[str, Any]:
    """Return the arguments of a `pyperf.Run`: one block. Measured twice, it counts once."""
    value = METRICS[metric][1](float(block[metric].median()))
    return {
        "values": [value],
        "metadata": {
            **metadata,
            "block": int(block["block"].iloc[0]),
            "date": str(block["started_at"].min()),
            "duration": float(block["measured_s"].sum()),
        },
        "collect_metadata": False,  # which would be of this host, now
    }


def _metadata(manifest: Manifest, metric: str) -> dict[str, object]:
    """Return what is common to all runs, in pyperf's names where it has them."""
    known = {
        "unit": METRICS[metric][0],
        "metric": metric,
        "run_id": manifest.run_id,
        "cpu_model_name": manifest.machine.get("cpu"),
        "platform": manifest.machine.get("system"),
        "python_version": manifest.interpreter.get("version"),
        **dict(facts(manifest)),
    }
    # pyperf takes no empty text and no line breaks.
    texts = {name: " ".join(text.split()) for name, text in known.items() if isinstance(text, str)}
    return {name: text for name, text in texts.items() if text}
