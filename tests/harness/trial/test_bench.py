"""Real trials, and some in which something goes wrong."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from harness.host.cgroup import ProcessGroup
from harness.host.cores import Cores, usable_cpus
from harness.plan.loads import Closed, Open
from harness.plan.plan import Plan
from harness.target import probes
from harness.target.probes import Reading
from harness.target.run_resources import RunResources
from harness.target.server import Server
from harness.target.targets import Target, choose
from harness.trial import loading
from harness.trial.bench import Laboratory
from harness.trial.beside import ceiling, mechanisms
from harness.trial.generators.generator import GeneratorFailed
from harness.trial.outcome import Trial
from tests.harness.host.test_interference import busy
from tests.harness.live import PATIENCE, needs_root

PLAN = Plan(
    targets=("dso",), loads=(Closed(2),), workers=2, tenants=1, blocks=9, seconds=0.2, warmup_s=0.1
)
SPECS = list(PLAN.trials())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        base = tmp_path_factory.mktemp("base")
        patch.setenv("TMPDIR", str(base))
        yield base


@contextmanager
def opened(plan: Plan = PLAN) -> Iterator[Laboratory]:
    with (
        RunResources() as resources,
        Laboratory(resources, plan, choose(plan.targets), Cores((), ())) as laboratory,
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
    assert row.self_checks == "passed"
    assert row.verified == row.answered
    assert row.disturbed is not None
    assert row.env_bytes
    assert row.port
    assert row.tenant_order == f"{PLAN.seed}/{row.block}/tenants"
    assert row.server_cpu_us_per_request
    assert row.memory_mib
    assert row.processes == 1 + PLAN.workers
    assert row.startup_s


def test_a_busy_process_on_the_servers_core_marks_a_trial(place: Path) -> None:
    cpus = usable_cpus()
    if len(cpus) < 2:
        pytest.skip("server and generator share the one processor")
    cores = Cores((cpus[-1],), (cpus[0],))
    plan = replace(PLAN, seconds=0.5)
    with (
        RunResources() as resources,
        Laboratory(resources, plan, choose(plan.targets), cores) as laboratory,
        busy(cores.server[0]),
    ):
        row = laboratory.measure(next(plan.trials())).row
    assert row.verdict == "ok"
    assert "others took" in (row.disturbed or "")


def test_a_server_that_is_killed_makes_the_trial_void(
    measure: Callable[[], Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_first_reading(monkeypatch, lambda server: os.kill(server.pid, signal.SIGKILL))
    row = measure().row
    assert row.verdict.startswith("void: the server dso ")
    assert "(killed by SIGKILL)" in row.verdict
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
    assert row.verdict.startswith("void: no request was answered in the measured window")


def test_without_its_generator_a_run_cannot_go_on(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(replace(PLAN, seconds=PATIENCE)) as laboratory:  # it ends before, when killed
        generator = laboratory._seats[0].generator._process
        at_first_reading(monkeypatch, lambda _: generator.kill())
        for spec in SPECS[:2]:
            with pytest.raises(GeneratorFailed, match="killed by SIGKILL") as caught:
                laboratory.measure(spec)
            assert "--resume" in caught.value.hint


# Long enough for a generator that a busy host wakes late.
INTERLEAVED = replace(PLAN, targets=("dso", "ruid2"), slice_s=0.1, seconds=1.0)
BROKEN = Target("broken", "nomode", "none", "server", "", {})


@needs_root
def test_interleaved_servers_live_together(place: Path) -> None:
    before = set(place.iterdir())
    specs = list(INTERLEAVED.trials())[:2]
    with (
        RunResources() as resources,
        Laboratory(
            resources, INTERLEAVED, choose(INTERLEAVED.targets), Cores((), ())
        ) as laboratory,
    ):
        trials = laboratory.measure_interleaved(specs)
    assert [trial.row.target for trial in trials] == [spec.target for spec in specs]
    for trial in trials:
        row = trial.row
        assert row.verdict == "ok", row.first_error
        assert row.slices is not None
        assert row.slices >= 2
        assert (row.interleaved_ratio is None) == (row.target == "dso")
        assert row.sent is not None
        assert row.answered is not None
        assert row.answered == row.verified
        assert 0 <= row.sent - row.answered <= 2  # users that were stopped while they waited
    assert set(place.iterdir()) == before


@needs_root
@pytest.mark.parametrize("slice_s", [0.1, None])
def test_the_workers_of_all_tenants_are_there_before_the_load(
    place: Path, slice_s: float | None
) -> None:
    plan = replace(INTERLEAVED, targets=("dso", "router"), tenants=60, slice_s=slice_s)
    specs = list(plan.trials())[:2]
    cores = Cores((), ())
    with (
        RunResources() as resources,
        Laboratory(resources, plan, choose(plan.targets), cores) as laboratory,
    ):
        if slice_s is None:
            trials = [laboratory.measure(spec) for spec in specs]
        else:
            trials = laboratory.measure_interleaved(specs)
    rows = {trial.row.target: trial.row for trial in trials}
    assert [row.asked_first for row in rows.values()] == [60, 60], rows
    assert rows["router"].processes is not None
    assert rows["router"].processes > 60


@needs_root
def test_a_pilot_in_a_slow_moment_counts_for_one_block_only(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(INTERLEAVED, targets=("dso",), connections=("close",), slice_s=0.03, blocks=2)
    monkeypatch.setattr(loading, "rate_of", lambda _rows: 30.0)
    pilots: list[tuple[int, str, float]] = []
    with opened(plan) as laboratory:
        laboratory.on_pilot = lambda spec, rate: pilots.append((spec.block, spec.target, rate))
        lengths = [
            trial.row.slice_s
            for spec in plan.trials()
            for trial in laboratory.measure_interleaved([spec])
        ]
    assert pilots == [(1, "dso", 30.0)]
    slow, own = lengths
    assert slow == pytest.approx(0.4)
    assert slow is not None
    assert own is not None
    assert own < slow


@needs_root
@needs_root
def test_a_mechanism_is_measured_in_turn_with_the_baseline(place: Path) -> None:
    plan = replace(INTERLEAVED, targets=("dso",), mechanisms=("fork",))
    targets = choose(plan.targets)
    everybody = [*targets, *mechanisms.as_targets(plan, targets)]
    with RunResources() as resources, Laboratory(resources, plan, everybody, Cores((), ())) as made:
        (row,) = mechanisms.rows(made.measure_interleaved(plan.of_mechanisms(1)), 1.0)
    assert row.verdict == "ok"
    assert (row.mechanism, row.workload) == ("fork", "hello")
    assert row.page_faults_per_request is not None
    assert row.baseline_page_faults_per_request is not None
    assert row.page_faults_per_request > 50 + row.baseline_page_faults_per_request


def test_a_server_that_fails_does_not_stop_those_it_is_interleaved_with(place: Path) -> None:
    plan = replace(INTERLEAVED, targets=("dso", "broken"))
    with (
        RunResources() as resources,
        Laboratory(resources, plan, [*choose(["dso"]), BROKEN], Cores((), ())) as laboratory,
    ):
        trials = laboratory.measure_interleaved(list(plan.trials())[:2])
    verdicts = {trial.row.target: trial.row.verdict for trial in trials}
    assert verdicts["broken"].startswith("void")
    assert verdicts["dso"] == "ok"


@needs_root
@pytest.mark.parametrize("when", ["before it is asked", "when its window begins"])
def test_a_server_that_is_killed_is_named_and_keeps_nobody_waiting(
    place: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    if when == "when its window begins":
        at_first_reading(monkeypatch, lambda server: os.kill(server.pid, signal.SIGKILL))
    else:
        start = Server.__enter__

        def start_and_kill(server: Server) -> Server:
            monkeypatch.setattr(Server, "__enter__", start)
            os.kill(start(server).pid, signal.SIGKILL)
            return server

        monkeypatch.setattr(Server, "__enter__", start_and_kill)
    with (
        RunResources() as resources,
        Laboratory(
            resources, INTERLEAVED, choose(INTERLEAVED.targets), Cores((), ())
        ) as laboratory,
    ):
        trials = laboratory.measure_interleaved(list(INTERLEAVED.trials())[:2])
    killed, *others = sorted((t.row.verdict for t in trials), key=lambda text: "SIG" not in text)
    assert killed.startswith("void: the server ")
    assert killed.endswith(" (killed by SIGKILL)")
    assert all("the server" not in other for other in others)


STALL_S = 1.0
STALLED = Plan(
    targets=("dso",),
    loads=(Open(200.0), Closed(4)),
    connections=("close",),
    workers=4,
    tenants=1,
    blocks=1,
    seconds=6.0,
    warmup_s=0.2,
)


def test_a_stall_shows_in_full_behind_an_open_load(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coordinated omission: to users who wait, a stall of a second happens four times in all.

    Of requests that come when they come, 200 wait for up to a second.
    """
    p99_ms = {}
    with (
        RunResources() as resources,
        Laboratory(resources, STALLED, choose(STALLED.targets), Cores((), ())) as laboratory,
    ):
        for spec in STALLED.trials():
            with stalled(resources, monkeypatch):
                row = laboratory.measure(spec).row
            assert row.verdict == "ok"
            assert row.p99_ms is not None
            p99_ms[type(spec.load)] = row.p99_ms
            if isinstance(spec.load, Open):
                assert row.offered_per_second == pytest.approx(200, rel=0.2)
                assert row.dropped == 0
    assert p99_ms[Open] >= 800
    assert p99_ms[Closed] < p99_ms[Open] / 2


@contextmanager
def stalled(resources: RunResources, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop all the processes of the next trial's server, a while after its window began."""
    threads: list[Thread] = []

    def stall(pids: list[int]) -> None:
        time.sleep(STALL_S)
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(STALL_S)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def begin(server: Server) -> None:
        pids = probes.processes_of(server, resources.processes)
        threads.append(Thread(target=stall, args=[pids]))
        threads[0].start()

    at_first_reading(monkeypatch, begin)
    yield
    threads[0].join()


@needs_root
def test_the_null_responder_is_told_of_each_condition_before_it_serves_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    command = ceiling.NullServer.command

    def of_the_responder(self: ceiling.NullServer) -> tuple[list[str], dict[str, str]]:
        found = command(self)
        answers = Path(found[0][found[0].index("--answers") + 1])
        told.append(json.loads(answers.read_text())["connection"])
        return found

    monkeypatch.setattr(ceiling.NullServer, "command", of_the_responder)
    connections = ("close", "keep-alive")
    targets, ceilings = ("dso", "suzuki"), ("null", "null:client")
    plan = replace(PLAN, targets=targets, connections=connections, ceilings=ceilings, blocks=1)
    plan = replace(plan, slice_s=0.03)
    specs = list(plan.trials())
    with opened(plan) as laboratory:
        rows = [trial.row for trial in laboratory.measure_interleaved(specs)]
    # The responders that start between two conditions leave suzuki the key that it has.
    assert {row.verdict for row in rows} == {"ok"}
    nulls = [row.connection for row in rows if row.target in ceilings]
    assert sorted(told) == sorted(nulls) == sorted(2 * connections)
