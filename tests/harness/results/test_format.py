"""Numbers as texts."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from harness.results import format as r


@pytest.mark.parametrize(
    ("value", "text"),
    [(14_234, "14,200"), (105.4, "105"), (7.449, "7.45"), (0.00213, "0.00213"), (0, "0"),
     (999.9, "1,000"), (math.nan, r.NONE)],
)  # fmt: skip
def test_count(value: float, text: str) -> None:
    assert r.count(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.04, "104%"), (0.63, "63%"), (0.0741, "7.4%"), (0.0077, "0.77%"), (1e-5, "<0.01%"),
     (0, "0%"), (math.nan, r.NONE)],
)  # fmt: skip
def test_percent(share: float, text: str) -> None:
    assert r.percent(share) == text


@pytest.mark.parametrize(
    ("us", "text"), [(58.2, "58.2 µs"), (9100, "9.1 ms"), (1.2e6, "1.2 s"), (math.nan, r.NONE)]
)
def test_duration(us: float, text: str) -> None:
    assert r.duration(us) == text


def test_intervals() -> None:
    assert r.percent_range(0.07, 0.079) == f"7.0{r.NONE}7.9%"
    assert r.percent_range(0.001, 200) == ">±900%"
    assert r.percent_range(0, 0.108) == f"0{r.NONE}11%"
    assert r.percent_range(math.nan, 1) == ""
    assert r.share_range(0.0009, 0.183) == f"0.09{r.NONE}18%"
    assert r.plus_minus(1 / 1.03, 1.03) == "±3.0%"
    assert r.plus_minus(1 / 1.2, 1.2) == "±20%"
    assert r.plus_minus(0.01, 1) == ">±100%"
    assert r.plus_minus(math.nan, math.nan) == ""


def test_time_for_people_who_wait() -> None:
    spans = [r.span(seconds) for seconds in (0.4, 45, 89, 90, 360, 5000, 7200, math.inf)]
    assert spans == ["0 s", "45 s", "89 s", "2 min", "6 min", "83 min", "2.0 h", r.NONE]


def test_probability() -> None:
    assert [r.probability(p) for p in (0.03125, 0.5, 1.0, math.nan)] == [
        "0.031",
        "0.5",
        "1",
        r.NONE,
    ]


def test_words() -> None:
    assert r.load_words("closed:1") == "1 user"
    assert r.load_words("closed:8") == "8 users"
    assert r.load_words("open:500") == "500 requests/s offered"
    assert r.load_words("open:500:uniform") == "500 requests/s offered evenly"
    assert r.load_words("open:log:60x:1a2b3c4d") == "access log at 60 times its speed"
    assert r.load_words("ramp") == "ramp"
    assert r.connection_words("other") == "other"


def test_markdown_escapes_and_aligns() -> None:
    frame = pd.DataFrame([["a|b", "x", "1", "ok\nnow"]], columns=["n", "r", "v", "verdict"])
    lines = r.table_markdown(frame).splitlines()
    assert lines[1] == "| :-- | :-- | --: | :-- |"
    assert lines[2] == "| a\\|b | x | 1 | ok now |"


ROW = {
    "target": "dso", "runs_as": "server", "requests_per_second": 92.0, "p50_ms": 12.0,
    "p90_ms": 4000.0, "p99_ms": 5500.0, "p999_ms": math.nan, "errors": 0, "verdict": "ok",
    "trials": 5, "difference": "", "p_adjusted": math.nan,
    **dict.fromkeys(
        ("requests_per_second_low", "requests_per_second_high", "ratio_to_dso", "memory_mib",
         "ratio_to_dso_low", "ratio_to_dso_high", "ratio_to_dso_bootstrap_low",
         "ratio_to_dso_bootstrap_high", "p99_ms_low", "p99_ms_high",
         "server_cpu_us_per_request", "capacity_per_core", "forks_per_request"), 1.0,
    ),
}  # fmt: skip


def test_an_overloaded_target_shows_what_it_was_offered() -> None:
    loaded = {**ROW, "offered_per_second": 199.0, "late": 1234.0, "dropped": 5.0}
    (shown,) = r.readable(pd.DataFrame([loaded]), "dso").to_dict("records")
    assert shown["req/s"] == "92 of 199"
    assert (shown["p90"], shown["p99"]) == ("4 s", "\N{GREATER-THAN OR EQUAL TO} 5.5 s")
    assert (shown["late"], shown["dropped"]) == ("1,234", "5")


def test_a_closed_load_has_no_such_columns() -> None:
    (shown,) = r.readable(pd.DataFrame([ROW]), "dso").to_dict("records")
    assert (shown["req/s"], shown["p99"]) == ("92", "5.5 s")
    assert not shown.keys() & {"late", "dropped"}
    assert shown.keys() > {"vs dso", "interval", "difference", "p"}


def test_an_open_load_has_no_difference_in_a_rate_that_was_given() -> None:
    void = {**ROW, "offered_per_second": math.nan, "late": math.nan, "dropped": math.nan}
    loaded = {**ROW, "offered_per_second": 92.0, "late": 0.0, "dropped": 0.0}
    frame = r.readable(pd.DataFrame([loaded, void]), "dso")
    assert not set(frame.columns) & {"±", "vs dso", "interval", "difference", "p"}
    assert "p99 ±" in frame
    assert frame["late"].tolist() == ["0", r.NONE]


def test_the_bootstrap_is_shown_where_there_are_blocks_enough() -> None:
    few, many = (pd.DataFrame([{**ROW, "trials": trials}]) for trials in (19, 20))
    assert "bootstrap" not in r.readable(few, "dso")
    assert r.readable(many, "dso")["bootstrap"].tolist() == ["100\N{EN DASH}100%"]


def test_a_ratio_has_its_own_interval_and_the_baseline_none() -> None:
    ratio = {"ratio_to_dso": 0.5, "ratio_to_dso_low": 0.45, "ratio_to_dso_high": 0.55}
    rows = [{**ROW, **ratio, "target": "cgi"}, {**ROW, "target": "dso"}]
    assert r.readable(pd.DataFrame(rows), "dso")["±"].tolist() == ["±11%", r.NONE]


def test_parts_of_a_sentence() -> None:
    assert [r.join("abc"[:length]) for length in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_of_many_names_the_first() -> None:
    assert r.first_few("abab", 2) == "a, b"
    assert r.first_few("abcabc", 2) == "a, b and 1 more"
