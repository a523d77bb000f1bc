"""Trials: what counts, what is void, and real ones in which something goes wrong."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import probes
from harness.belongings import Belongings
from harness.cgroup import ProcessGroup
from harness.laboratory import Cores, Laboratory, Latencies, Trial, assess, divide
from harness.load import GeneratorFailed
from harness.matrix import Load, Plan
from harness.probes import Reading
from harness.results import TrialRow
from harness.server import Server, ServerUsage
from harness.targets import choose

PLAN = Plan(
    targets=("dso",), loads=(Load(2),), workers=2, tenants=1, blocks=9, seconds=0.2, warmup_s=0.1
)
SPECS = list(PLAN.trials())

ROW = TrialRow(
    trial="001/dso/hello/closed:8/close",
    block=1,
    position=1,
    target="dso",
    kind="mode",
    runs_as="server",
    workload="hello",
    load="closed:8",
    connection="close",
    tenants=2,
    popularity="uniform",
    started_at="2026-03-01T12:00:00.000+00:00",
    verdict="void: not made",
)


@pytest.mark.parametrize(
    ("cpus", "siblings", "cores"),
    [
        ([0], {0: {0}}, Cores((0,), (0,))),
        ([0, 1], {0: {0}, 1: {1}}, Cores((1,), (0,))),
        ([0, 1], {0: {0, 1}, 1: {0, 1}}, Cores((1,), (0,))),
        ([0, 1, 2, 3], {2: {2, 3}, 3: {2, 3}}, Cores((3,), (0,))),
        ([1, 2, 3], {1: {1, 3}, 2: {2}, 3: {1, 3}}, Cores((3,), (2,))),
        ([4, 6], {}, Cores((6,), (4,))),
    ],
)
def test_server_and_generator_get_different_cores_where_there_are_two(
    cpus: list[int], siblings: dict[int, set[int]], cores: Cores
) -> None:
    found = divide(cpus, {cpu: frozenset(shared) for cpu, shared in siblings.items()})
    assert found == cores
    assert found.shared == (len(cpus) == 1)


def reading(at: float, served: int, cpu_s: float) -> Reading:
    usage = ServerUsage(
        served=served, cpu_s=cpu_s, page_faults=served, context_switches=2.0 * served,
        processes_made=None,
    )  # fmt: skip
    return Reading(
        at=at, server=usage, cgroup_cpu_s=cpu_s, host_forks=served, steal_s=0.0, total_s=at
    )


FIRST, LAST = reading(10.0, 100, 1.0), reading(12.0, 104, 1.5)
DONE: dict[str, Any] = {
    "sent": 9, "errors": 0, "evidence": None, "generator_cpu_s": 0.5, "window": [9.9, 12.1]
}  # fmt: skip


def rows(*ends_at: float) -> Latencies:
    return np.array([(end, 1000.0 * (1 + number)) for number, end in enumerate(ends_at)])


def test_what_counts_lies_between_the_two_readings() -> None:
    trial = assess(ROW, DONE, rows(9.95, 10.0, 10.5, 11.0, 11.9, 12.0, 12.05), FIRST, LAST)
    assert trial.latencies_us.tolist() == [2000, 3000, 4000, 5000]
    row = trial.row
    assert (row.verdict, row.requests, row.measured_s) == ("ok", 4, 2.0)
    assert (row.requests_per_second, row.mean_ms, row.p50_ms, row.max_ms) == (2.0, 3.5, 3.5, 5.0)
    assert row.server_cpu_us_per_request == pytest.approx(125_000)
    assert (row.forks_per_request, row.context_switches_per_request) == (1.0, 2.0)
    assert row.generator_cpu_share == pytest.approx(0.5 / 2.2)


def test_one_wrong_answer_makes_a_trial_void_and_is_kept() -> None:
    evidence = {"reason": "it ran as uid 0", "status": 200, "body": "..."}
    done = DONE | {"errors": 1, "evidence": evidence}
    trial = assess(ROW, done, rows(10.5, 11.0), FIRST, LAST)
    assert trial.row.verdict == "void: 1 wrong answers, first: it ran as uid 0"
    assert trial.row.requests_per_second is None
    assert (trial.row.errors, trial.row.sent) == (1, 9)
    assert json.loads(trial.row.first_error or "") == evidence
    assert len(trial.latencies_us) == 0


def test_requests_without_an_answer_make_it_void_too() -> None:
    trial = assess(ROW, DONE | {"errors": 3}, rows(10.5), FIRST, LAST)
    assert trial.row.verdict == "void: 3 wrong answers, first: requests without an answer"


def test_a_window_without_an_answer_is_void() -> None:
    trial = assess(ROW, DONE, np.empty((0, 2)), FIRST, LAST)
    assert trial.row.verdict == "void: no request was answered in the measured window"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        base = tmp_path_factory.mktemp("base")
        patch.setenv("TMPDIR", str(base))
        yield base


@contextmanager
def opened() -> Iterator[Laboratory]:
    with (
        Belongings() as belongings,
        Laboratory(belongings, PLAN, choose(PLAN.targets), Cores((), ())) as laboratory,
    ):
        yield laboratory


@pytest.fixture(scope="module")
def laboratory(place: Path) -> Iterator[Laboratory]:
    with opened() as laboratory:
        yield laboratory
    assert list(place.iterdir()) == []


@pytest.fixture
def measure(laboratory: Laboratory) -> Iterator[Callable[[], Trial]]:
    """Makes a trial, each time the next; after the test the host must be able to make another."""
    specs = iter(SPECS)
    yield lambda: laboratory.measure(next(specs))
    assert laboratory.measure(SPECS[-1]).row.verdict == "ok"


@contextmanager
def replaced(laboratory: Laboratory, change: Callable[[str], str]) -> Iterator[None]:
    """Change the tenant's script as long as it lasts."""
    script = laboratory.site.sites / "t0001" / "hello.py"
    text = script.read_text()
    script.write_text(change(text))
    try:
        yield
    finally:
        script.write_text(text)


def at_first_reading(monkeypatch: pytest.MonkeyPatch, happens: Callable[[Server], None]) -> None:
    """Let something happen in the middle of the next trial, when its window begins."""
    read = probes.read

    def then(server: Server, processes: ProcessGroup) -> Reading:
        monkeypatch.setattr(probes, "read", read)
        found = read(server, processes)
        happens(server)
        return found

    monkeypatch.setattr(probes, "read", then)


def test_a_trial(measure: Callable[[], Trial]) -> None:
    trial = measure()
    row = trial.row
    assert row.verdict == "ok"
    assert row.requests == len(trial.latencies_us) > 0
    assert row.p50_ms is not None
    assert row.p99_ms is not None
    assert 0 < row.p50_ms <= row.p99_ms
    assert row.served is not None
    assert row.sent is not None
    assert row.requests <= row.served <= row.sent + PLAN.tenants  # each is verified first
    assert row.server_cpu_us_per_request
    assert row.memory_mib
    assert row.processes == 1 + PLAN.workers
    assert row.startup_s


def test_a_server_that_is_killed_makes_the_trial_void(
    measure: Callable[[], Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_first_reading(monkeypatch, lambda server: os.kill(server.pid, signal.SIGKILL))
    row = measure().row
    assert row.verdict.startswith("void: the server dso ")
    assert "no process" not in (row.first_error or "")


def test_a_script_that_lies_makes_the_trial_void(
    measure: Callable[[], Trial], laboratory: Laboratory
) -> None:
    with replaced(laboratory, lambda text: text.replace('"t0001"', '"t0002"')):
        row = measure().row
    assert row.verdict.startswith("void: tenant t0001: ")
    assert "t0002" in json.loads(row.first_error or "")["body"]


def test_a_script_that_fails_makes_the_trial_void(
    measure: Callable[[], Trial], laboratory: Laboratory
) -> None:
    with replaced(laboratory, lambda text: text + "\nraise ValueError\n"):
        row = measure().row
    assert row.verdict.startswith("void: tenant t0001: ")
    assert json.loads(row.first_error or "")["status"] == 500


def test_a_script_that_hangs_makes_the_trial_void(
    measure: Callable[[], Trial], laboratory: Laboratory
) -> None:
    # The first request, which verifies, is answered; with those of the load it hangs.
    once = (
        "import os\ntry:\n os.mkdir('data/asked')\nexcept OSError:\n import time; time.sleep(1e6)\n"
    )
    with replaced(laboratory, lambda text: text + once):
        row = measure().row
    assert row.verdict == "void: no request was answered in the measured window"


def test_without_its_generator_a_run_cannot_go_on(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened() as laboratory:
        generator = laboratory._generator._process
        at_first_reading(monkeypatch, lambda _: generator.kill())
        for spec in SPECS[:2]:
            with pytest.raises(GeneratorFailed, match="with status -9") as caught:
                laboratory.measure(spec)
            assert "--resume" in caught.value.hint
