"""The planted slowdown: as large as asked for, and nowhere unless asked for."""

import itertools
from pathlib import Path

import pytest

from servers import modes
from servers.kernel.credentials import Identity
from servers.mode import Setting
from servers.profiling import slowdown
from tests.servers.live import needs_root
from tests.servers.test_main import command


def test_it_looks_at_the_clock_until_the_time_is_over() -> None:
    clock = itertools.count(0, 100)
    handle = slowdown.slowed(lambda request: f"answer to {request}", 450, lambda: next(clock))
    assert handle("request") == "answer to request"
    assert next(clock) == 700  # it began at 100, and 600 was the first reading beyond 550


def test_without_time_it_answers_at_once() -> None:
    clock = itertools.count(0, 100)
    assert slowdown.slowed(lambda _: "answer", 0, lambda: next(clock))("request") == "answer"
    assert next(clock) == 300


@pytest.mark.parametrize(
    ("wished", "excess", "asked"), [(4000, 600, 3400), (4000, 0, 4000), (100, 600, 0), (0, 600, 0)]
)
def test_less_is_asked_for_by_what_comes_on_top(wished: int, excess: int, asked: int) -> None:
    assert slowdown.to_ask_for(wished, lambda busy_ns: busy_ns + excess) == asked


def test_what_comes_in_whole_turns_is_met_to_a_turn() -> None:
    def added(busy_ns: int) -> float:
        return 200 + 400 * (1 + busy_ns // 400)

    assert abs(added(slowdown.to_ask_for(4100, added)) - 4100) <= 400


def test_it_costs_cpu_time() -> None:
    assert slowdown.added_ns(20_000) >= 15_000


def test_one_object_is_slowed_and_its_class_is_not(tmp_path: Path) -> None:
    mode_class = modes.load("dso")
    setting = Setting(str(tmp_path), Identity(46990, 46990), str(tmp_path))
    slow, other = mode_class(setting), mode_class(setting)
    slowdown.slow_down(slow, 1.0)
    assert "handle" in vars(slow)
    assert "handle" not in vars(other)


@needs_root
@pytest.mark.parametrize("text", ["-1", "nan", "soon"])
def test_what_is_no_time(text: str) -> None:
    ended = command("dso", f"--slowdown-us={text}")
    assert ended.status == 2
    assert f"not a time in microseconds: {text}" in ended.stderr


@needs_root
def test_it_is_not_offered_to_users() -> None:
    assert "plant" not in command("--help").stdout


def test_large_slowdown_is_adjusted_with_few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred calls of 50 ms in each of 30 batches would keep the server from starting."""
    made: list[int] = []

    def batch_ns(_call: object, calls: int) -> int:
        made.append(calls)
        return 0

    monkeypatch.setattr(slowdown, "_batch_ns", batch_ns)
    slowdown.added_ns(50_000_000)
    slowdown.added_ns(1_000)
    assert set(made) == {1, 100}
