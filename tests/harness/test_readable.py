"""Numbers as texts."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from harness import readable as r


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
     (math.nan, r.NONE)],
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
    assert r.percent_range(math.nan, 1) == ""
    assert r.plus_minus(1 / 1.03, 1.03) == "±3.0%"
    assert r.plus_minus(1 / 1.2, 1.2) == "±20%"
    assert r.plus_minus(math.nan, math.nan) == ""


def test_words() -> None:
    assert r.load_words("closed:1") == "1 user"
    assert r.load_words("closed:8") == "8 users"
    assert r.load_words("open:500") == "500 requests/s offered"
    assert r.load_words("ramp") == "ramp"
    assert r.connection_words("other") == "other"


def test_markdown_escapes_and_aligns() -> None:
    frame = pd.DataFrame([["a|b", "x", "1", "ok\nnow"]], columns=["n", "r", "v", "verdict"])
    lines = r.table_markdown(frame).splitlines()
    assert lines[1] == "| :-- | :-- | --: | :-- |"
    assert lines[2] == "| a\\|b | x | 1 | ok now |"
