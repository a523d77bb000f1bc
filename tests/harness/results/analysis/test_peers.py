"""Modes beside their products, from trials made up for it."""

import math

import pandas as pd
import pytest
from scipy.stats import kendalltau

from harness.results.analysis.peers import BesidePeers, beside_peers
from tests.harness.plan.test_loads import REPLAY

BESIDE = {"php": "dso", "itk": "harache", "mod_cgi": "cgi"}


def trials(rates: dict[str, float], blocks: int = 3) -> pd.DataFrame:
    """Return a line a target and block, in which all rates drift alike."""
    return pd.DataFrame(
        {
            "block": block,
            "target": target,
            "verdict": "ok",
            "workload": "hello",
            "load": "closed:8",
            "connection": "close",
            "tenants": 10,
            "popularity": "uniform",
            "requests_per_second": rate * (1 + block),
            "p99_ms": 10.0,
            "server_cpu_us_per_request": 1e6 / rate,
        }
        for block in range(blocks)
        for target, rate in rates.items()
    )


def found(rates: dict[str, float], blocks: int = 3) -> BesidePeers:
    (one,) = beside_peers(trials(rates, blocks), BESIDE)
    return one


def test_a_ratio_is_that_within_blocks_however_the_host_drifts() -> None:
    one = found({"dso": 1000, "php": 800, "harache": 10, "itk": 5})
    dso, harache = one.pairs
    assert (dso.mode, dso.peer) == ("dso", "php")
    assert dso.rate.mid == pytest.approx(1.25)
    assert dso.rate.low == pytest.approx(1.25)
    assert dso.p99.mid == pytest.approx(1.0)
    assert harache.cpu.mid == pytest.approx(0.5)


def test_tau_is_one_where_the_orders_agree() -> None:
    one = found({"dso": 9, "php": 8, "harache": 5, "itk": 4, "cgi": 2, "mod_cgi": 1})
    assert one.tau.mid == one.tau.low == one.tau.high == 1.0
    assert one.couples == 3
    assert one.inversions == ()


def test_an_inversion_is_told_and_lowers_tau() -> None:
    rates = {"dso": 9, "php": 8, "harache": 5, "itk": 0.5, "cgi": 2, "mod_cgi": 1}
    one = found(rates)
    (inversion,) = one.inversions
    assert (inversion.quicker.mode, inversion.slower.mode) == ("harache", "cgi")
    expected = kendalltau([9, 5, 2], [8, 0.5, 1]).statistic
    assert one.tau.mid == pytest.approx(expected)


def test_peers_of_one_mode_have_no_order_between_them() -> None:
    rates = {"dso": 9.0, "php": 8.0, "perl": 3.0, "harache": 5.0, "itk": 4.0}
    (one,) = beside_peers(trials(rates), {**BESIDE, "perl": "dso"})
    assert one.couples == 2
    assert one.tau.mid == 0.0
    assert [inversion.quicker.peer for inversion in one.inversions] == ["perl"]


def test_one_pair_has_no_order_and_one_block_no_interval() -> None:
    one = found({"dso": 9, "php": 8}, blocks=1)
    assert math.isnan(one.tau.mid)
    assert math.isnan(one.pairs[0].rate.low)


def test_interleaved_rates_are_compared_through_the_baseline() -> None:
    rows = trials({"dso": 1000, "php": 800})
    rows["interleaved_ratio"] = [None, 0.5] * 3
    (one,) = beside_peers(rows, BESIDE)
    assert one.pairs[0].rate.mid == pytest.approx(2.0)


def test_void_trials_have_no_pairs() -> None:
    rows = trials({"dso": 1000, "php": 800})
    assert beside_peers(rows.assign(verdict="void: x"), BESIDE) == []


@pytest.mark.parametrize("load", ["open:5", str(REPLAY)])
def test_at_a_given_rate_pairs_are_compared_by_p99_and_cpu(load: str) -> None:
    rows = trials({"dso": 1000, "php": 800, "harache": 10, "itk": 5}).assign(load=load)
    (one,) = beside_peers(rows, BESIDE)
    dso, _ = one.pairs
    assert math.isnan(dso.rate.mid)
    assert dso.p99.mid == pytest.approx(1.0)
    assert dso.cpu.mid == pytest.approx(0.8)
    assert math.isnan(one.tau.mid)
    assert (one.couples, one.inversions) == (0, ())


def test_where_each_target_has_a_rate_of_its_own_there_are_no_pairs() -> None:
    rows = trials({"dso": 1000, "php": 800}).assign(load="open:80%")
    assert beside_peers(rows, BESIDE) == []


def test_a_peer_whose_processes_abort_is_compared_by_cpu_alone() -> None:
    table = trials({"dso": 1000, "php": 800, "harache": 10, "itk": 5, "cgi": 1, "mod_cgi": 900})
    table["aborts"] = table["target"].map({"mod_cgi": 7.0})
    (one,) = beside_peers(table, BESIDE)
    pair = next(pair for pair in one.pairs if pair.aborts)
    assert (pair.peer, pair.aborts) == ("mod_cgi", 21)
    assert math.isnan(pair.rate.mid)
    assert math.isnan(pair.p99.mid)
    assert pair.cpu.mid == pytest.approx(900)
    assert one.tau.mid == 1.0
    assert one.couples == 1
