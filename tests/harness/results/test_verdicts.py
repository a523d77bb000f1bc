"""What a table of ratios shows, and which attempt of a trial counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest

from harness.results import schema, verdicts
from harness.results.cautions import cautions, failed_checks
from harness.results.rows import TrialRow
from harness.results.summary import summarise
from harness.stats.significance import Finding
from tests.harness.results.test_summary import NO_LATENCY, only, row

WEATHER = (1.0, 0.98, 1.02, 0.99, 1.01, 1.03, 0.97, 1.0)


def frame(rows: Sequence[TrialRow]) -> pd.DataFrame:
    table: pd.DataFrame = schema.to_table("trials", [asdict(one) for one in rows]).to_pandas()
    return table


def run(blocks: int, **rates: float) -> pd.DataFrame:
    """Return a run in which each target's rate follows the block's weather, and little else."""
    return frame(
        [
            row(target, block, rate * WEATHER[block] * (1 + 0.002 * ((block * 3 + n) % 4)))
            for block in range(blocks)
            for n, (target, rate) in enumerate(rates.items())
        ]
    )


def test_four_findings() -> None:
    summary = summarise(run(8, dso=1000, cgi=100, twin=1001, near=1020), NO_LATENCY)
    found = summary.set_index("target")["difference"].to_dict()
    assert found == {"dso": "", "cgi": "lower", "twin": "same", "near": "same"}
    assert only(summary, "cgi")["p_value"] < 1e-6
    assert only(summary, "cgi")["p_adjusted"] >= only(summary, "cgi")["p_value"]
    assert math.isnan(only(summary, "dso")["p_value"])


def test_the_smallest_effect_is_the_users_to_say() -> None:
    trials = run(8, dso=1000, near=1020)
    assert only(summarise(trials, NO_LATENCY), "near")["difference"] == "same"
    strict = summarise(trials, NO_LATENCY, smallest_effect=0.005)
    assert only(strict, "near")["difference"] == "higher"


def test_five_blocks_show_a_difference() -> None:
    assert only(summarise(run(5, dso=1000, cgi=100), NO_LATENCY), "cgi")["difference"] == "lower"


def test_without_the_baseline_nothing_is_compared() -> None:
    cgi = only(summarise(run(8, cgi=100), NO_LATENCY), "cgi")
    assert cgi["difference"] == ""
    assert math.isnan(cgi["p_adjusted"])
    assert math.isnan(cgi["ratio_to_dso_bootstrap_low"])


def test_the_bootstrap_stands_beside() -> None:
    cgi = only(summarise(run(8, dso=1000, cgi=100), NO_LATENCY), "cgi")
    assert (
        cgi["ratio_to_dso_bootstrap_low"] < cgi["ratio_to_dso"] < cgi["ratio_to_dso_bootstrap_high"]
    )


@pytest.mark.parametrize(
    ("bound", "found"),
    [
        ((), "higher"),
        (("fast",), "higher"),
        (("dso",), "not shown"),
        (("dso", "fast"), "not shown"),
    ],
)
def test_a_lower_bound_shows_only_what_it_can(bound: tuple[str, ...], found: str) -> None:
    rows: list[dict[str, Any]] = summarise(
        run(8, dso=1000, fast=2000), NO_LATENCY
    ).to_dict("records")  # type: ignore[assignment]  # fmt: skip
    for one in rows:
        if one["target"] in bound:
            one["verdict"] = "generator-bound"
    verdicts.find_differences(rows, "dso")
    assert {one["target"]: one["difference"] for one in rows} == {"dso": "", "fast": found}


def test_bounds_keep_lower_for_those_below_a_bound() -> None:
    assert verdicts._as_bounds(Finding.LOWER, target=False, baseline=True) is Finding.LOWER
    assert verdicts._as_bounds(Finding.SAME, target=False, baseline=True) is Finding.UNSHOWN


DISTURBED = "others took 40% of the server's core"


def test_a_fifth_of_the_blocks_disturbed_is_noisy_and_said() -> None:
    for bad, verdict in ((1, "ok"), (2, "noisy")):
        rows = [
            row("dso", block, 1000 * WEATHER[block], disturbed=DISTURBED if block < bad else "")
            for block in range(8)
        ]
        summary = summarise(frame(rows), NO_LATENCY)
        assert only(summary, "dso")["verdict"] == verdict
        assert any("used the server's core" in caution.about for caution in cautions(summary))


def test_what_never_settled_is_counted_and_said() -> None:
    rows = [row("dso", block, 1000, steady="no" if block == 3 else "yes") for block in range(8)]
    summary = summarise(frame(rows), NO_LATENCY)
    assert only(summary, "dso")["unsteady"] == 1
    assert any("no steady state" in caution.about for caution in cautions(summary))


def test_failed_checks_come_first() -> None:
    rows = [
        row("dso", 1, 1000, self_checks="passed"),
        row("dso", 2, 1000, self_checks="Little's law: 8 users, but ..."),
    ]
    summary = summarise(frame(rows), NO_LATENCY)
    assert (only(summary, "dso")["checked"], only(summary, "dso")["failed_checks"]) == (2, 1)
    assert cautions(summary)[0].about == "self-checks failed in 1 of 2 trials: dso"
    assert failed_checks(summary) == cautions(summary)[:1]


def test_older_trials_have_no_checks() -> None:
    summary = summarise(run(5, dso=1000), NO_LATENCY)
    columns = ["unsteady", "disturbed", "checked", "failed_checks"]
    assert summary[columns].to_numpy().sum() == 0
    assert failed_checks(summary) == []
