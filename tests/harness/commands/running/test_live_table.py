"""A run's figures in a terminal: when they are drawn, what they are, and how they go away."""

import io
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console

from harness.commands.running.live_table import LiveTable, Tally, conditions, fit
from harness.commands.signals import Interrupted
from harness.plan.loads import Closed
from harness.plan.plan import PROBE_BLOCK, Plan, Spec
from harness.results.blocks import block_values
from harness.results.folder import ResultsFolder
from harness.terminal import can_redraw
from tests.harness.bench import Bench
from tests.harness.folders import NEW, write_folder

PLAN = Plan(targets=("dso", "cgi"), connections=("close",), blocks=3, tenants=1, slice_s=0.03)
NOON = datetime(2026, 3, 1, 12)
SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def terminal(width: int = 80, color: str | None = None) -> Console:
    environment = {"TERM": "xterm", "COLUMNS": str(width), "LINES": "24"}
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        _environ={**environment, **({"NO_COLOR": color} if color else {})},
    )


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def block_of(plan: Plan, number: int) -> list[Spec]:
    return [spec for spec in plan.trials() if spec.block == number]


def run(table: LiveTable, plan: Plan, bench: Bench, clock: Clock, numbers: range) -> None:
    for number in numbers:
        specs = block_of(plan, number)
        for spec in specs:
            table.begins(spec)
        clock.s += 10
        for spec in specs:
            table.ended(spec, bench.measure(spec).row)


def test_figures_fill_the_table_after_each_block_and_it_goes_away() -> None:
    console, clock = terminal(), Clock()
    with LiveTable(console, PLAN, clock=clock, now=lambda: NOON) as table:
        table.begins(block_of(PLAN, 1)[0])
        first = written(console)
        assert "dso" in first
        assert "100" not in first
        run(table, PLAN, Bench(), clock, range(1, 2))
        clock.s += 1
        table.begins(block_of(PLAN, 2)[0])
        assert "    100   100%" in written(console)
        assert "block 2 of 3" in written(console)
    # Its last lines are erased one by one, and the cursor is there again.
    assert written(console).endswith("\x1b[1A\x1b[2K")
    assert written(console).rindex(SHOW_CURSOR) > written(console).rindex(HIDE_CURSOR)


def test_it_is_drawn_at_most_once_a_second() -> None:
    console, clock = terminal(), Clock()
    with LiveTable(console, PLAN, clock=clock) as table:
        for tenth in range(25):
            clock.s = tenth / 10
            table.piloted(block_of(PLAN, 1)[0], 100.0 + tenth)
        assert written(console).count("target") == 3  # at 0, 1 and 2 s


def test_a_pilot_of_a_target_shows_before_its_block_has_ended() -> None:
    console, clock = terminal(), Clock()
    spec = next(spec for spec in PLAN.trials() if spec.target == "cgi")
    with LiveTable(console, PLAN, clock=clock) as table:
        table.begins(spec)
        clock.s = 2
        table.piloted(spec, 38.0)
        assert "~38" in written(console)


def test_what_interrupts_a_run_leaves_the_figures_and_the_cursor() -> None:
    console, clock = terminal(), Clock()

    def interrupted() -> None:
        with LiveTable(console, PLAN, clock=clock) as table:
            run(table, PLAN, Bench(), clock, range(1, 2))
            raise Interrupted(2)

    with pytest.raises(Interrupted):
        interrupted()
    last = written(console).rpartition("\x1b[2K")[2]
    assert "    100   100%" in last
    assert "Ctrl-C" not in last
    assert SHOW_CURSOR in last


def test_a_trial_that_went_wrong_is_told_at_once_and_shown_as_void() -> None:
    console, clock = terminal(), Clock()
    with LiveTable(console, PLAN, clock=clock) as table:
        run(table, PLAN, Bench(void="cgi"), clock, range(1, 2))
        assert " (close): void: it lied" in written(console)
        clock.s += 1
        table.begins(block_of(PLAN, 2)[0])
        assert "void\x1b[0m" in written(console)


def test_without_colour_there_is_none() -> None:
    console, clock = terminal(color="1"), Clock()
    with LiveTable(console, PLAN, clock=clock) as table:
        run(table, PLAN, Bench(void="cgi"), clock, range(1, 3))
    assert "\x1b[31m" not in written(console)
    assert "\x1b[33m" not in written(console)


def test_a_run_that_is_resumed_shows_what_it_has() -> None:
    rows = [Bench().measure(spec).row for spec in block_of(PLAN, 1)]
    console = terminal()
    with LiveTable(console, PLAN, rows, Clock()) as table:
        table.begins(block_of(PLAN, 2)[0])
        assert "    100   100%" in written(console)


def test_the_figures_are_those_of_the_report(tmp_path: Path) -> None:
    trials = ResultsFolder.open(write_folder(tmp_path / "run", NEW)).trials()
    trials = trials[trials["block"] > PROBE_BLOCK]
    tally = Tally(Plan(targets=("dso", "cgi"), connections=("close",), tenants=3))
    for row in trials.itertuples():
        tally.add(row)
    reported = block_values(trials, ("requests_per_second", "ratio_to_dso", "p99_ms"))
    for key, values in tally.values().items():
        for name, expected in reported[key].items():
            assert values[name] == pytest.approx(expected)


def test_conditions_come_in_the_order_of_the_plan() -> None:
    plan = Plan(targets=("dso",), loads=(Closed(1), Closed(8)), workloads=("sqlite", "hello"))
    assert [one[:3] for one in conditions(plan)] == [
        (workload, load, connection)
        for workload in ("sqlite", "hello")
        for connection in ("close", "keep-alive")
        for load in ("closed:1", "closed:8")
    ]


def test_a_line_has_the_words_that_fit_and_the_first_one_in_any_case() -> None:
    assert fit(["block 1", "10 s", "more"], 13).plain == "block 1; 10 s"
    assert fit(["block 1", "10 s"], 4).plain == "bloc"


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": "xterm"}])
def test_a_pipe_and_a_dumb_terminal_cannot_be_redrawn(environment: dict[str, str]) -> None:
    coloured = Console(file=io.StringIO(), force_terminal=True, _environ=environment)
    assert not can_redraw(coloured)
