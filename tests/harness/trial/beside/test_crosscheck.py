"""The other generator: the same requests for it, its numbers beside ours."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import IsobenchError
from harness.host.cores import Cores
from harness.plan.loads import Closed, Open
from harness.plan.plan import Plan, Spec
from harness.results.rows import CrosscheckRow
from harness.target.run_resources import RunResources
from harness.target.targets import choose
from harness.trial.bench import Laboratory
from harness.trial.beside import crosscheck
from harness.trial.beside.crosscheck import CrossCheckFailed, Loaded

PLAN = Plan(
    targets=("dso", "suzuki"), loads=(Closed(2), Open(50)), workers=2, tenants=2,
    ceilings=("null",), cross_check="wrk",
)  # fmt: skip
SPEC = Spec(0, 0, "dso", "hello", Closed(2), "close")
ROW = CrosscheckRow(
    target="dso",
    workload="hello",
    load="closed:2",
    connection="close",
    tenants=2,
    popularity="uniform",
    tool="wrk",
    rounds=0,
)

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


class Bench:
    """Two generators that saw what the test says."""

    def __init__(self, seen: list[Loaded] | IsobenchError) -> None:
        self.seen = seen

    def side_by_side(self, spec: Spec, order: Sequence[str]) -> list[Loaded]:
        if isinstance(self.seen, IsobenchError):
            raise self.seen
        return self.seen


def test_every_closed_load_of_every_target_is_checked_once() -> None:
    specs = list(crosscheck.specs(PLAN))
    assert [(spec.target, spec.connection) for spec in specs] == [
        (target, connection)
        for target in ("null", "dso", "suzuki")
        for connection in ("close", "keep-alive")
    ]
    assert {str(spec.load) for spec in specs} == {"closed:2"}
    made = [("null", "hello", "closed:2", "close"), ("dso", "hello", "closed:2", "keep-alive")]
    assert len(crosscheck.remaining(PLAN, made)) == len(specs) - 2


def test_rounds_are_averaged() -> None:
    seen = [Loaded(100, 1, 1, 4), Loaded(90, 1, 2, 8), Loaded(160, 1, 2, 8), Loaded(400, 1, 1, 4)]
    row = crosscheck.check(SPEC, PLAN, "server", Bench(seen))
    assert row.own_per_second == pytest.approx(200)
    assert row.tool_per_second == pytest.approx(120)
    assert row.rate_difference == pytest.approx(-0.4)
    assert row.own_p50_ms == pytest.approx(1)
    assert row.tool_p99_ms == pytest.approx(8)
    assert (row.rounds, row.tool_errors, row.note) == (2, 0, None)


def test_errors_of_the_other_one_are_told() -> None:
    seen = [Loaded(100, 1, 1, 1), Loaded(100, 1, 1, 1, errors=3)]
    row = crosscheck.compared(ROW, ("own", "wrk"), seen)
    assert (row.tool_errors, row.note) == (3, "wrk saw 3 errors")


def test_what_fails_becomes_a_note() -> None:
    failed = crosscheck.check(SPEC, PLAN, "server", Bench(CrossCheckFailed("wrk failed:\nno")))
    assert (failed.note, failed.own_per_second) == ("wrk failed: no", None)
    client = crosscheck.check(replace(SPEC, target="suzuki"), PLAN, "client", Bench([]))
    assert client.note == "wrk cannot send a credential in its packets"
    nothing = crosscheck.compared(ROW, ("own", "wrk"), [Loaded(1, 1, 1, 1), Loaded(0, 1, 1, 1)])
    assert nothing.note == "a generator had no answer at all"


def test_it_is_written_down_one_by_one() -> None:
    written: list[CrosscheckRow] = []
    seen = [Loaded(100, 1, 1, 1)] * 4
    left = crosscheck.remaining(PLAN, [])
    identities = {"null": "owner", "dso": "server", "suzuki": "client"}
    crosscheck.carry_out(left, PLAN, identities.__getitem__, Bench(seen), written.append)
    assert [row.target for row in written] == [spec.target for spec in left]


def slowly(latencies: list[int], expected: int) -> list[int]:
    """What wrk's documentation of the correction says, one by one."""
    more = list(latencies)
    for latency in latencies:
        if latency >= 2 * expected:
            missing = latency - expected
            while missing > expected:
                more.append(missing)
                missing -= expected
    return sorted(more)


@given(st.lists(st.integers(1, 500), max_size=30), st.integers(1, 120))
def test_latencies_are_counted_as_wrk_does(latencies: list[int], expected: int) -> None:
    counted = crosscheck.as_wrk_counts(np.array(latencies, dtype=np.float64), expected)
    assert sorted(counted.tolist()) == slowly(latencies, expected)


def test_ours_is_summed_up() -> None:
    assert crosscheck.expected_us(1000, 2.0, 8) == 16_000
    assert crosscheck.expected_us(7, 2.0, 8) == 0
    loaded = crosscheck.own(np.full(1000, 1500.0), 2.0, 8)
    assert (loaded.rate, loaded.p50_ms, loaded.p99_ms) == (500, 1.5, 1.5)
    assert crosscheck.own(np.empty(0), 2.0, 8).requests == 0


def test_a_script_survives_every_byte() -> None:
    request = bytes(range(256)) + b'"]]'
    text = crosscheck.script([request, b"GET", request])
    assert "local order = {1,2,1}" in text
    assert all(32 <= ord(letter) < 127 or letter == "\n" for letter in text)


def test_what_it_says_is_read() -> None:
    said = 'Running 1s test\nisobench {"requests": 9, "duration_us": 1500000, "p50_us": 80, '
    loaded = crosscheck.read_result(said + '"p99_us": 200, "errors": 1}\n')
    assert loaded == Loaded(9, 1.5, 0.08, 0.2, 1)
    with pytest.raises(CrossCheckFailed, match="without a summary"):
        crosscheck.read_result("Running 1s test")


def test_a_tool_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(IsobenchError, match="unknown cross-check tool 'ab'") as caught:
        crosscheck.find("ab")
    assert "choose one of wrk" in caught.value.hint
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(IsobenchError, match="wrk is not installed") as caught:
        crosscheck.find("wrk")
    assert "apt install wrk" in caught.value.hint


def test_it_takes_a_closed_load() -> None:
    with pytest.raises(IsobenchError, match="closed loads only"):
        replace(PLAN, loads=(Open(50),))


@needs_wrk
def test_a_failing_wrk(tmp_path: Path) -> None:
    path = crosscheck.find("wrk")
    assert crosscheck.version(path)[0].isdigit()
    script = tmp_path / "requests.lua"
    script.write_text("no lua")
    with pytest.raises(CrossCheckFailed):
        crosscheck.wrk(path, script, ("127.0.0.1", 1), 1, ())


@needs_wrk
def test_both_load_a_real_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    plan = replace(PLAN, targets=("dso",), workloads=("upload",), warmup_s=0.1, seconds=0.2)
    with (
        RunResources() as resources,
        Laboratory(resources, plan, choose(["dso"]), Cores((), ())) as laboratory,
    ):
        for connection in plan.connections:
            spec = Spec(0, 0, "dso", "upload", Closed(2), connection)
            row = crosscheck.check(spec, plan, "server", laboratory)
            assert row.note is None
            assert row.own_per_second
            assert row.tool_per_second
            assert row.tool_errors == 0
