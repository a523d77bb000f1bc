"""What of a run's figures fits into a terminal, and what is said of the rest."""

import pytest

from harness.commands.running.fitting_table import (
    CPU,
    P99,
    RATE,
    RATIO,
    Figures,
    draw,
    told_apart,
)
from harness.results.conditions import Condition
from harness.results.format import NONE

CLOSE = Condition("hello", "closed:8", "close", 10, "uniform")
KEPT = CLOSE._replace(connection="keep-alive")
OPEN = CLOSE._replace(load="open:500")
TARGETS = ("cgi", "dso", "process_security_shipped")


def values(rate: float, ratio: float) -> dict[str, list[float]]:
    return {
        RATE: [rate, rate * 1.1],
        RATIO: [ratio] if ratio == 1 else [ratio, ratio * 1.1],
        P99: [5.0, 6.0],
        CPU: [250.0, 260.0],
    }


MEASURED = {
    (target, condition): values(rate, ratio)
    for condition in (CLOSE, KEPT)
    for target, rate, ratio in (("cgi", 40.0, 0.01), ("dso", 4000.0, 1.0))
}
FIGURES = Figures(TARGETS, [CLOSE, KEPT], MEASURED, {})


@pytest.mark.parametrize("width", range(20, 200, 9))
@pytest.mark.parametrize("height", [6, 24])
def test_no_line_is_wider_than_the_terminal_and_no_table_higher(width: int, height: int) -> None:
    lines = draw(FIGURES, width, height).plain.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= height


def test_in_80_columns_both_conditions_stand_side_by_side() -> None:
    assert draw(FIGURES, 80, 24).plain.splitlines() == [
        "hello, 8 users",
        "                                         close            keep-alive",
        "target                     req/s vs dso      ±   req/s vs dso      ±",
        f"dso                        4,200   100%      {NONE}   4,200   100%      {NONE}",
        "cgi                           42   1.0%   ±83%      42   1.0%   ±83%",
        "process_security_shipped                                            ",
    ]


def test_in_40_columns_a_name_is_cut_and_a_condition_left_out() -> None:
    assert draw(FIGURES, 40, 24).plain.splitlines() == [
        "hello, 8 users",
        "                                   close",
        "target               req/s vs dso      ±",
        f"dso                  4,200   100%      {NONE}",
        "cgi                     42   1.0%   ±83%",
        "process_security_…                      ",
        "not shown: keep-alive",
    ]


def test_a_wide_terminal_has_more_figures() -> None:
    assert "p99" not in draw(FIGURES, 80, 24).plain
    assert draw(FIGURES, 120, 24).plain.count("CPU/req") == 2


def test_what_a_low_terminal_has_no_line_for_is_counted() -> None:
    lines = draw(FIGURES, 80, 5).plain.splitlines()
    assert lines[-2].startswith("dso")
    assert lines[-1] == "2 more targets"


def test_a_pilot_shows_until_there_is_better_and_a_void_target_as_such() -> None:
    pilots = {("cgi", CLOSE): 38.0, ("process_security_shipped", CLOSE): 1234.0}
    void = frozenset({("process_security_shipped", KEPT)})
    shown = draw(Figures(TARGETS, [CLOSE, KEPT], MEASURED, pilots, void), 80, 24).plain
    assert "~38" not in shown
    (line,) = (line for line in shown.splitlines() if line.startswith("process"))
    assert line.split()[1:] == ["~1,230", "void"]


def test_without_a_baseline_the_rates_have_intervals() -> None:
    one = Figures(("cgi",), [CLOSE], {("cgi", CLOSE): values(40.0, 0.01)}, {})
    heading, row = draw(one, 80, 24).plain.splitlines()[1:]
    assert heading.split() == ["target", "req/s", "±", "p99", "CPU/req"]
    assert row.split()[:3] == ["cgi", "42", "±83%"]


def test_an_open_load_shows_times_and_no_ratio() -> None:
    one = Figures(("dso",), [OPEN], {("dso", OPEN): values(500.0, 1.0)}, {})
    title, heading, row = draw(one, 80, 24).plain.splitlines()
    assert title == "hello, 500 requests/s offered, close"
    assert heading.split() == ["target", "req/s", "p99", "p99", "±", "CPU/req"]
    assert row.split() == ["dso", "524", "5.48", "ms", ">±100%", "255", "µs"]


def test_conditions_say_once_what_they_have_in_common() -> None:
    page = CLOSE._replace(workload="page:5ms")
    assert told_apart([CLOSE, KEPT, page]) == (
        "8 users",
        ["hello, close", "hello, keep-alive", "page:5ms, close"],
    )
    assert told_apart([CLOSE]) == ("hello, 8 users, close", [""])
