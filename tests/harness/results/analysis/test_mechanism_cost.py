"""Modes are put together from mechanisms that were measured beside their trials."""

import math
from collections.abc import Mapping
from dataclasses import asdict, fields, replace

import pandas as pd
import pytest

from harness.results.analysis.mechanism_cost import Amount, Explanation, Part, explain, needed
from harness.results.rows import LatencyRow, MechanismRow
from harness.results.summary import summarise
from tests.harness.folders import ROW

# What a server of dso takes with a mechanism where dso takes 100: CPU and page faults.
TAKES: Mapping[str, tuple[float, float]] = {
    "identity": (130.0, 0.0),
    "fork": (600.0, 20.0),
    "pages": (800.0, 120.0),
    "child": (700.0, 60.0),
    "switch": (120.0, 0.0),
    "replacement": (1_100.0, 100.0),
}
HOST = {1: 1.0, 2: 1.8, 3: 1.0}
"""How much slower the host is in each block: for a mechanism and for dso beside it alike."""


def mechanisms(takes: Mapping[str, tuple[float, float]] = TAKES) -> pd.DataFrame:
    rows = [
        MechanismRow(
            block=block,
            mechanism=name,
            workload="hello",
            load="closed:8",
            connection="close",
            requests=500,
            cpu_us_per_request=us * slower,
            page_faults_per_request=faults,
            context_switches_per_request=1.0,
            baseline_cpu_us_per_request=100.0 * slower,
            baseline_page_faults_per_request=0.0,
            baseline_context_switches_per_request=1.0,
            verdict="ok",
        )
        for block, slower in HOST.items()
        for name, (us, faults) in takes.items()
    ]
    return pd.DataFrame([asdict(row) for row in rows])


def summary(measured: Mapping[str, tuple[float, float]]) -> pd.DataFrame:
    """Return that of a run in which targets took so much CPU and so many page faults."""
    rows = [
        replace(
            ROW,
            trial=f"1/{target}",
            target=target,
            server_cpu_us_per_request=us,
            page_faults_per_request=faults,
            context_switches_per_request=1.0,
        )
        for target, (us, faults) in measured.items()
    ]
    latency = pd.DataFrame(columns=[field.name for field in fields(LatencyRow)])
    return summarise(pd.DataFrame([asdict(row) for row in rows]), latency)


# dso took 200 here. Each part is the mechanism's share of dso, times 200.
DSO = {"dso": (200.0, 0.0)}
# fork 5, the rest of child 1, identity 0.3; 10 faults more at 0.02 each.
HARACHE_US = 200 * (1 + 5 + 1 + 0.3 + 10 * 0.02)
RECIPES = {"harache": ("fork", "child", "identity")}


def explained(us: float, recipe: tuple[str, ...] = RECIPES["harache"]) -> Explanation:
    measured = {**DSO, "harache": (us, 70.0)}
    found = explain(summary(measured), mechanisms(), {"harache": recipe})
    assert found is not None
    condition, (one,) = found
    assert condition.workload == "hello"
    return one


def test_the_sum_of_the_parts_is_reckoned_by_hand() -> None:
    one = explained(HARACHE_US)
    assert one.predicted.us == pytest.approx(HARACHE_US)
    assert one.rest_us == pytest.approx(0, abs=1e-6)
    assert one.explained


def test_the_hosts_speed_does_not_matter_where_both_met_it() -> None:
    assert explained(HARACHE_US).predicted.half_us == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("share", "holds"), [(0.8, False), (0.9, True), (1.1, True), (1.3, False)])
def test_more_than_a_seventh_off_is_unexplained(share: float, holds: bool) -> None:
    assert explained(share * HARACHE_US).explained is holds


def test_what_is_cheaper_in_the_mode_counts_less() -> None:
    """A mode may have fewer faults than the mechanism by itself."""
    measured = {**DSO, "suid2": (2_000.0, 50.0)}
    found = explain(summary(measured), mechanisms(), {"suid2": ("replacement",)})
    assert found is not None
    (one,) = found[1]
    assert one.predicted.us == pytest.approx(200 * (1 + 10 - 50 * 0.02))


def test_intervals_are_of_blocks_and_add_up_in_quadrature() -> None:
    parts = tuple(Part("", Amount(100.0, half)) for half in (3.0, 4.0))
    assert Explanation("x", 200.0, parts).predicted.half_us == pytest.approx(5.0)
    scattered = mechanisms()
    rows = (scattered["mechanism"] == "identity") & (scattered["block"] == 3)
    scattered.loc[rows, "cpu_us_per_request"] = 160.0
    measured = {**DSO, "ruid2": (260.0, 0.0)}
    found = explain(summary(measured), scattered, {"ruid2": ("identity",)})
    assert found is not None
    # 60, 60 and 120: a mean of 80, a standard error of 20, and Student's t for two is 4.30.
    assert found[1][0].parts[1].amount.us == pytest.approx(80.0)
    assert found[1][0].parts[1].amount.half_us == pytest.approx(86.05, rel=1e-3)


def test_one_block_has_no_interval() -> None:
    table = mechanisms()
    measured = {**DSO, "ruid2": (260.0, 0.0)}
    found = explain(summary(measured), table[table["block"] == 1], {"ruid2": ("identity",)})
    assert found is not None
    assert math.isnan(found[1][0].predicted.half_us)


def test_a_target_of_which_a_part_is_missing_is_left_out() -> None:
    measured = {**DSO, "harache": (900.0, 0.0), "ruid2": (260.0, 0.0)}
    table = mechanisms()
    table.loc[table["mechanism"] == "child", "verdict"] = "void: it lied"
    recipes = {**RECIPES, "ruid2": ("identity",), "new": ("identity", "of a later version")}
    found = explain(summary({**measured, "new": measured["ruid2"]}), table, recipes)
    assert found is not None
    assert [one.target for one in found[1]] == ["ruid2"]


def test_without_the_baseline_or_mechanisms_nothing_is_explained() -> None:
    alone = summary({"harache": (900.0, 0.0)})
    assert explain(alone, mechanisms(), RECIPES) is None
    both = summary({**DSO, "harache": (900.0, 0.0)})
    assert explain(both, mechanisms()[:0], RECIPES) is None
    assert explain(both, mechanisms().assign(connection="keep-alive"), RECIPES) is None


def test_what_must_be_measured_follows_from_recipes() -> None:
    assert needed([("identity",)]) == ("fork", "identity", "pages")
    assert "program" in needed([("imports",)])
    assert needed([(), ("of a later version",)]) == ()
