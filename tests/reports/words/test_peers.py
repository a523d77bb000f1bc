"""What the report says of modes and products."""

import math

from harness.results.analysis.peers import BesidePeers, Inversion, Pair
from harness.results.conditions import Condition
from harness.stats.intervals import Interval
from reports.words import peers as words

CONDITION = Condition("hello", "closed:8", "close", 10, "uniform")
KNOWN = Interval(0.9, 1.0, 1.1)
ONLY = Interval(math.nan, 2.0, math.nan)
DSO = Pair("dso", "apache-php", KNOWN, ONLY, KNOWN)
ITK = Pair("harache", "apache-itk", KNOWN, KNOWN, Interval(math.nan, math.nan, math.nan))


def test_an_order_is_told_with_its_inversions() -> None:
    one = BesidePeers(CONDITION, (DSO, ITK), Interval(-1.0, -1.0, 1.0), 1, (Inversion(DSO, ITK),))
    order, inverted = words.sentences([one])
    assert order == (
        "By requests per second, the order of the modes is that of their products in 0 of 1 "
        "couples: Kendall's tau is -1.00 (-1.00 to 1.00)."
    )
    assert inverted == (
        "Inverted: dso is faster than harache, but apache-php slower than apache-itk."
    )


def test_a_single_pair_has_no_order() -> None:
    one = BesidePeers(CONDITION, (DSO,), Interval(math.nan, math.nan, math.nan), 0, ())
    assert words.sentences([one]) == ["There are too few pairs to compare their order."]


def test_at_a_given_rate_there_is_no_order_to_tell() -> None:
    replayed = CONDITION._replace(load="open:log:10x:1a2b3c4d")
    one = BesidePeers(replayed, (DSO,), Interval(math.nan, math.nan, math.nan), 0, ())
    assert words.sentences([one]) == [
        "The rate is the same for all, so they are compared by p99 and CPU time."
    ]


def test_a_pair_is_a_line_and_what_is_unknown_a_dash() -> None:
    one = BesidePeers(CONDITION, (DSO, ITK), KNOWN, 1, ())
    table = words.table(one)
    assert list(table.iloc[0]) == [
        *("dso : apache-php", "1.00 (0.90 to 1.10)", "2.00", "1.00 (0.90 to 1.10)")
    ]
    assert table.iloc[1]["CPU per request"] == "\N{EN DASH}"


def test_interpreters_of_both_sides_are_named() -> None:
    said = words.sides("/usr/bin/python3", "3.11.2", [("apache-php", "PHP 8.2")])
    assert "3.11.2 (/usr/bin/python3); apache-php: PHP 8.2." in said


def test_a_product_that_breaks_is_named_with_its_aborts() -> None:
    broken = Pair("dso", "apache-php", Interval(*[math.nan] * 3), ONLY, KNOWN, 28)
    said = words.sentences([BesidePeers(CONDITION, (broken,), Interval(*[math.nan] * 3), 0, ())])
    assert said[0] == (
        "28 processes of apache-php were killed by a signal and had to be replaced: "
        "compare it with dso by CPU time."
    )
