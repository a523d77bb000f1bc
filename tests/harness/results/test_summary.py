"""The summary: which trials count, over what, and what is left empty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.results import schema
from harness.results.cautions import cautions
from harness.results.conditions import Condition, by_condition
from harness.results.folder import ResultsFolder
from harness.results.rows import TrialRow
from harness.results.summary import columns, summarise
from harness.stats.histogram import Histogram
from harness.stats.intervals import geometric_interval
from tests.harness.folders import ROW
from tests.harness.live import MANIFEST

NO_LATENCY = schema.SCHEMAS["latency"].empty_table().to_pandas()
CONDITION = Condition("hello", "closed:8", "close", 1, "uniform")


def row(target: str, block: int, rate: float, **changes: Any) -> TrialRow:
    name = f"{target}-{block}-{changes.get('load', '')}{changes.pop('trial', '')}"
    return replace(
        ROW,
        **{
            "trial": name,
            "block": block,
            "target": target,
            "requests_per_second": rate,
            "errors": 0,
            "p50_ms": 800 / rate,
            "p90_ms": 900 / rate,
            "p99_ms": 1000 / rate,
            "server_cpu_us_per_request": 1e5 / rate,
            "forks_per_request": 0.0,
            "memory_mib": 50.0,
            "generator_cpu_share": 0.5,
            "steal_share": 0.0,
            **changes,
        },
    )


def void(target: str, block: int, reason: str = "uid") -> TrialRow:
    rates = ("requests_per_second", "p50_ms", "p90_ms", "p99_ms", "server_cpu_us_per_request")
    others = ("errors", "memory_mib", "generator_cpu_share", "steal_share")
    numbers = dict.fromkeys((*rates, *others))
    return row(target, block, 1.0, verdict=f"void: {reason}", **numbers)


def frame(rows: Sequence[TrialRow]) -> pd.DataFrame:
    table: pd.DataFrame = schema.to_table("trials", [asdict(one) for one in rows]).to_pandas()
    return table


def only(summary: pd.DataFrame, target: str) -> dict[Any, Any]:
    (found,) = summary[summary["target"] == target].to_dict("records")
    return found


FIVE = [
    one
    for block, weather in enumerate([1.0, 0.98, 1.02, 0.99, 1.01])
    for one in (row("dso", block, 1000 * weather), row("cgi", block, 100 * weather))
]


def test_columns_are_those_of_the_contract() -> None:
    contract = (
        "target, kind, runs_as, workload, load, connection, trials, requests_per_second, "
        "requests_per_second_low, requests_per_second_high, ratio_to_dso, ratio_to_dso_low, "
        "ratio_to_dso_high, p50_ms, p90_ms, p99_ms, p99_ms_low, p99_ms_high, "
        "server_cpu_us_per_request, capacity_per_core, memory_mib, forks_per_request, errors, "
        "verdict"
    )
    assert ", ".join(columns()).startswith(f"{contract}, ")
    assert list(summarise(frame(FIVE), NO_LATENCY).columns) == columns()


def test_rates_and_ratios_come_from_blocks() -> None:
    summary = summarise(frame(FIVE), NO_LATENCY)
    cgi = only(summary, "cgi")
    expected = geometric_interval([100.0, 98.0, 102.0, 99.0, 101.0])
    assert cgi["requests_per_second"] == pytest.approx(expected.mid)
    assert cgi["requests_per_second_low"] == pytest.approx(expected.low)
    # The weather of the block cancels.
    assert cgi["ratio_to_dso_low"] == pytest.approx(0.1)
    assert cgi["ratio_to_dso_high"] == pytest.approx(0.1)
    assert cgi["capacity_per_core"] == pytest.approx(1e6 / cgi["server_cpu_us_per_request"])
    assert cgi["verdict"] == "ok"
    assert only(summary, "dso")["ratio_to_dso"] == pytest.approx(1)
    assert summary["target"].tolist() == ["dso", "cgi"]


def test_void_trials_count_as_errors_only() -> None:
    rows = [*FIVE, void("cgi", 7), row("dso", 7, 1000), row("cgi", 8, 100, errors=3)]
    cgi = only(summarise(frame(rows), NO_LATENCY), "cgi")
    assert cgi["trials"] == 6
    assert cgi["errors"] == 4


def test_all_void_says_why() -> None:
    summary = summarise(frame([void("cgi", 0, "a"), void("cgi", 1, "b"), void("cgi", 2, "b")]),
                        NO_LATENCY)  # fmt: skip
    cgi = only(summary, "cgi")
    assert cgi["verdict"] == "void: b"
    assert cgi["trials"] == 0
    assert math.isnan(cgi["requests_per_second"])
    assert [caution for caution in cautions(summary) if "no valid trial" in caution.about]


def test_without_the_baseline() -> None:
    summary = summarise(frame([one for one in FIVE if one.target == "cgi"]), NO_LATENCY)
    assert math.isnan(only(summary, "cgi")["ratio_to_dso"])
    assert any("dso was not measured" in caution.about for caution in cautions(summary))


def test_another_baseline_names_its_column() -> None:
    summary = summarise(frame(FIVE), NO_LATENCY, baseline="cgi")
    assert only(summary, "dso")["ratio_to_cgi"] == pytest.approx(10)


@pytest.mark.parametrize(("asked", "warned"), [(500, True), (1000, False), (None, False)])
def test_that_tenants_were_first_requested_while_measuring_is_said(
    asked: int | None, warned: bool
) -> None:
    rows = [replace(one, tenants=1000, asked_first=asked) for one in FIVE]
    found = cautions(summarise(frame(rows), NO_LATENCY))
    assert any("first requests" in caution.about for caution in found) is warned


def test_one_block() -> None:
    summary = summarise(frame(FIVE[:2]), NO_LATENCY)
    cgi = only(summary, "cgi")
    assert math.isnan(cgi["requests_per_second_low"])
    assert cgi["ratio_to_dso"] == pytest.approx(0.1)
    assert cgi["verdict"] == "ok"
    assert any("one valid block" in caution.about for caution in cautions(summary))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"generator_cpu_share": 0.96}, "generator-bound"),
        ({"steal_share": 0.06}, "noisy"),
        ({"generator_cpu_share": 0.94, "steal_share": 0.04}, "ok"),
    ],
)
def test_verdicts(changes: dict[str, float], verdict: str) -> None:
    rows = [replace(one, **changes) for one in FIVE]  # type: ignore[arg-type]
    summary = summarise(frame(rows), NO_LATENCY)
    assert only(summary, "cgi")["verdict"] == verdict
    assert bool(cautions(summary)) is (verdict != "ok")


def test_wide_intervals_are_noisy() -> None:
    rows = [row("dso", block, rate) for block, rate in enumerate([100, 150, 80, 120, 90])]
    assert only(summarise(frame(rows), NO_LATENCY), "dso")["verdict"] == "noisy"


def test_conditions_do_not_mix() -> None:
    rows = [row("dso", 0, rate, load=load)
            for load, rate in (("closed:16", 5), ("closed:8", 4))]  # fmt: skip
    rows.append(row("dso", 0, 3.0, tenants=100, trial="t"))
    summary = summarise(frame(rows), NO_LATENCY)
    got = [(condition.load, condition.tenants) for condition, _ in by_condition(summary)]
    assert got == [("closed:8", 1), ("closed:8", 100), ("closed:16", 1)]


def test_a_block_measured_twice_counts_once() -> None:
    rows = [*FIVE, row("cgi", 0, 100, trial="again")]
    once, twice = (only(summarise(frame(r), NO_LATENCY), "cgi") for r in (FIVE, rows))
    assert twice["requests_per_second"] == pytest.approx(once["requests_per_second"])


def latency_rows(trial: TrialRow, values_us: Sequence[float], clock: str) -> dict[str, object]:
    histogram = Histogram.of(values_us)
    same = {name: getattr(trial, name) for name in ("trial", "target", "workload", "load")}
    more = {"connection": trial.connection, "block": trial.block, "clock": clock}
    facts = {"count": histogram.count, "min_us": 1.0, "max_us": 2.0, "hdr": histogram.to_text()}
    return {**same, **more, **facts}


def test_p999_needs_a_large_sample() -> None:
    rows = [row("dso", 0, 10), row("cgi", 0, 10)]
    values = [float(value) for value in range(1, 5001)]
    latency: pd.DataFrame = schema.to_table(
        "latency",
        [
            latency_rows(rows[0], values, "service"),
            latency_rows(rows[1], values[:1000], "service"),
        ],
    ).to_pandas()
    summary = summarise(frame(rows), latency)
    dso, cgi = only(summary, "dso"), only(summary, "cgi")
    assert dso["p999_ms"] == pytest.approx(4.995, rel=2e-3)
    assert dso["p99_ms_sample_low"] < 4.95 < dso["p99_ms_sample_high"]
    assert math.isnan(cgi["p999_ms"])
    assert cgi["p99_ms_sample_low"] < 0.99 < cgi["p99_ms_sample_high"]


def test_nothing_yet() -> None:
    summary = summarise(frame([]), NO_LATENCY)
    assert summary.empty
    assert list(summary.columns) == columns()
    assert [caution.about for caution in cautions(summary)] == ["no trial has ended"]


def test_files(tmp_path: Path) -> None:
    with ResultsFolder.create(tmp_path, MANIFEST) as folder:
        folder.append_trials((one, [1000.0] * 10, ()) for one in FIVE)
        folder.write_summary()
    csv = pd.read_csv(tmp_path / "summary.csv")
    assert list(csv.columns) == columns()
    assert csv["requests_per_second"].tolist() == pytest.approx([999.9, 99.99], rel=1e-3)
    text = (tmp_path / "summary.md").read_text()
    assert "### hello, 8 users, one connection per request, 1 tenant" in text
    assert "| dso | server | 1,000 |" in text


def offered(block: int, offered: float, rate: float, **changes: Any) -> TrialRow:
    numbers: dict[str, Any] = {"late": 2, "late_worst_ms": 3.0 * block, "dropped": 0, **changes}
    return row("dso", block, rate, load="open:100", offered_per_second=offered, **numbers)


def test_an_open_load_shows_what_was_offered() -> None:
    summary = summarise(frame([offered(1, 100.0, 100.0), offered(2, 104.0, 104.0)]), NO_LATENCY)
    found = only(summary, "dso")
    assert found["offered_per_second"] == pytest.approx(math.sqrt(100 * 104))
    assert (found["late"], found["late_worst_ms"], found["dropped"]) == (4, 6.0, 0)
    assert not any("offered" in caution.about for caution in cautions(summary))


def test_a_rate_that_was_given_is_compared_with_nothing() -> None:
    trials = [offered(block, 100.0, 100.0) for block in range(1, 9)]
    trials += [replace(one, trial=f"{one.trial}-cgi", target="cgi") for one in trials]
    summary = summarise(frame(trials), NO_LATENCY)
    assert summary["ratio_to_dso"].isna().all()
    assert summary["p_value"].isna().all()
    assert set(summary["difference"]) == {""}
    assert not any("no ratio" in caution.about for caution in cautions(summary[:1]))


def test_under_an_open_load_the_shortest_p99_comes_first() -> None:
    trials = [
        replace(offered(1, 100.0, rate, p99_ms=p99), trial=name, target=name)
        for name, rate, p99 in (
            *(("slow", 99.0, 80.0), ("drowned", 30.0, 900.0), ("quick", 98.0, 2.0)),
            ("drowned-less", 60.0, 950.0),
        )
    ]
    summary = summarise(frame(trials), NO_LATENCY)
    assert summary["target"].tolist() == ["quick", "slow", "drowned-less", "drowned"]


def test_a_closed_load_shows_nothing_of_that() -> None:
    found = only(summarise(frame([row("dso", 1, 100.0)]), NO_LATENCY), "dso")
    names = ("offered_per_second", "late", "late_worst_ms", "dropped")
    assert all(math.isnan(found[name]) for name in names)


def test_an_offer_that_varies_is_no_noise() -> None:
    """What a Poisson process offers in a short window varies by itself."""
    rates = (60.0, 140.0, 75.0, 120.0)
    trials = [offered(block, rate, rate) for block, rate in enumerate(rates, 1)]
    assert only(summarise(frame(trials), NO_LATENCY), "dso")["verdict"] == "ok"
    closed = [row("dso", block, rate) for block, rate in enumerate(rates, 1)]
    assert only(summarise(frame(closed), NO_LATENCY), "dso")["verdict"] == "noisy"


def test_too_much_offered_is_said() -> None:
    trials = [offered(block, 100.0, 60.0, dropped=block) for block in (1, 2, 3)]
    summary = summarise(frame(trials), NO_LATENCY)
    assert only(summary, "dso")["dropped"] == 6
    about = [caution.about for caution in cautions(summary)]
    assert any(text.startswith("these were overloaded") for text in about)
    assert any(text.startswith("requests were still unanswered") for text in about)


def ceiling_row(block: int, rate: float, **changes: Any) -> TrialRow:
    return row("null", block, rate, kind="ceiling", runs_as="owner", **changes)


def test_a_rate_near_the_ceiling_is_the_generators() -> None:
    rows = [row("dso", block, 800 * block) for block in (1, 2)]
    rows += [row("cgi", block, 7 * block) for block in (1, 2)]
    rows += [ceiling_row(block, 1000 * block) for block in (1, 2)]
    summary = summarise(frame(rows), NO_LATENCY).set_index("target")
    assert set(summary.index) == {"dso", "cgi"}
    assert summary["ceiling_share"].tolist() == pytest.approx([0.8, 0.007])
    assert summary.loc["dso", "verdict"] == "generator-bound"
    assert summary.loc["cgi", "verdict"] != "generator-bound"
    assert summary.loc["dso", "ceiling_per_second"] == pytest.approx(1000 * math.sqrt(2))


@pytest.mark.parametrize(
    ("cores", "cpu_us", "bound"),
    [(1, 1180, False), (1, 1000, True), (2, 1180, True), (2, 2300, False), (0, 1180, True)],
)
def test_a_server_without_time_left_is_its_own_limit(cores: int, cpu_us: int, bound: bool) -> None:
    rows = [row("dso", 1, 800, server_cpu_us_per_request=float(cpu_us)), ceiling_row(1, 1000)]
    found = only(summarise(frame(rows), NO_LATENCY, server_cores=cores), "dso")
    assert (found["verdict"] == "generator-bound") is bound
    if cores:
        assert found["server_cpu_share"] == pytest.approx(800 * cpu_us / 1e6 / cores)
    else:
        assert math.isnan(found["server_cpu_share"])


def test_clients_with_identities_are_held_against_their_own_ceiling() -> None:
    rows = [row("suzuki", 1, 800, runs_as="client"), row("dso", 1, 800), ceiling_row(1, 2000)]
    summary = summarise(frame(rows), NO_LATENCY).set_index("target")
    assert summary.loc["dso", "ceiling_share"] == pytest.approx(0.4)
    assert math.isnan(float(summary.loc["suzuki", "ceiling_share"]))  # type: ignore[arg-type]
    rows.append(row("null:client", 1, 1000, kind="ceiling", runs_as="client"))
    summary = summarise(frame(rows), NO_LATENCY).set_index("target")
    assert summary.loc["suzuki", "verdict"] == "generator-bound"


def test_a_void_ceiling_is_none() -> None:
    void = replace(ceiling_row(1, 1000), verdict="void: it ended", requests_per_second=None)
    summary = summarise(frame([row("dso", 1, 800), void]), NO_LATENCY)
    assert summary["ceiling_share"].isna().all()
    assert summary["errors"].tolist() == [0]
