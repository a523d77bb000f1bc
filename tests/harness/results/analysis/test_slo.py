"""From the loads of searches to what is known of each target."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import pandas as pd
import pytest

from harness.results import schema
from harness.results.analysis.slo import Kept, frame, kept
from harness.results.rows import SloRow

LOAD = SloRow(
    target="router",
    runs_as="owner",
    promise="p99 < 50 ms",
    block=1,
    outcome="found",
    found_per_second=2000.0,
    step=2,
    load="open:1800",
    verdict="kept",
    workload="hello",
    connection="close",
    tenants=10,
    requests=1800,
    wanted_requests=1000,
    offered_per_second=1800.0,
    answered_per_second=1800.0,
    measure="p99",
    value=20_000.0,
    margin=0.4,
    server_cpu_us_per_request=400.0,
    server_cores=1,
    rate_per_tenant=0.5,
)


def search(target: str, block: int, outcome: str, rate: float | None) -> list[SloRow]:
    """Return a search: a closed load of one user, and two open ones."""
    load = replace(LOAD, target=target, block=block, outcome=outcome, found_per_second=rate)
    alone = replace(
        load, step=0, load="closed:1", verdict="pilot", value=80_000.0, wanted_requests=None
    )
    broken = replace(load, step=3, load="open:2500", verdict="broken", offered_per_second=2500.0)
    return [alone, load, broken]


def table(*searches: list[SloRow]) -> pd.DataFrame:
    """Return the table as it is read from a folder."""
    rows = [asdict(row) for rows in searches for row in rows]
    read: pd.DataFrame = schema.to_table("slo", rows).to_pandas()
    return read


def of(*searches: list[SloRow]) -> Kept:
    (one,) = kept(table(*searches))
    return one


def test_the_interval_comes_from_the_blocks() -> None:
    rates = (1900.0, 2000.0, 2100.0)
    one = of(*(search("router", block, "found", rate) for block, rate in enumerate(rates, 1)))
    assert (one.blocks, one.never, one.at_least, one.void) == (3, 0, False, 0)
    assert one.rate.mid == pytest.approx(1998.3, abs=0.1)
    assert one.rate.low < 1900 < 2100 < one.rate.high
    assert one.tenants_per_core.mid == pytest.approx(2 * one.rate.mid)
    assert one.cpu_share == pytest.approx(0.72)
    assert not one.too_few


def test_cores_and_a_tenants_rate_divide() -> None:
    rows = [replace(row, server_cores=2) for row in search("router", 1, "found", 2000.0)]
    one = of(rows)
    assert (one.per_core.mid, one.tenants_per_core.mid) == pytest.approx((1000, 2000))
    rows = [replace(row, rate_per_tenant=None) for row in rows]
    assert math.isnan(of(rows).tenants_per_core.mid)


def test_one_bound_search_makes_the_mean_a_lower_bound() -> None:
    one = of(search("dso", 1, "found", 2000.0), search("dso", 2, "at least", 1800.0))
    assert one.at_least


def test_never_is_what_most_blocks_say() -> None:
    never = [search("suexec", block, "never", None) for block in (1, 2)]
    one = of(*never, search("suexec", 3, "found", 20.0))
    assert one.is_never
    assert (one.measure, one.alone) == ("p99", 80_000.0)
    assert not of(never[0], *(search("suexec", block, "found", 20.0) for block in (2, 3))).is_never


def test_a_void_search_counts_for_nothing_and_says_why() -> None:
    void = replace(
        LOAD, block=2, outcome="void: it died", found_per_second=None, load="closed:1",
        verdict="void", requests=None, measure=None, value=None, margin=None,
    )  # fmt: skip
    one = of(search("router", 1, "found", 2000.0), [void])
    assert (one.blocks, one.void, one.failed) == (1, 1, "it died")
    assert math.isnan(one.rate.low)
    (alone,) = kept(table([void]))
    assert (alone.blocks, alone.failed, alone.is_never) == (0, "it died", False)


def test_the_highest_rates_come_first_and_never_last() -> None:
    found = kept(
        table(
            search("suexec", 1, "never", None),
            search("cgi", 1, "found", 20.0),
            search("dso", 1, "found", 3000.0),
        )
    )
    assert [one.target for one in found] == ["dso", "cgi", "suexec"]
    rates = frame(found)["requests_per_second"].fillna(0).tolist()
    assert rates == pytest.approx([3000.0, 20.0, 0.0])
    assert kept(table()) == []


def test_loads_with_too_few_requests_are_known() -> None:
    rows = [replace(row, requests=150) for row in search("cgi", 1, "found", 50.0)]
    assert of(rows).too_few
