"""Trials: what counts, what is void, and real ones in which something goes wrong."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.host.cgroup import ProcessGroup
from harness.host.cores import Cores, divide
from harness.host.interference import Noise, Witness
from harness.plan.plan import Closed, Open, Plan
from harness.results.rows import TrialRow
from harness.target import probes
from harness.target.probes import Reading
from harness.target.run_resources import Belongings
from harness.target.server import Server, ServerUsage
from harness.target.targets import Target, choose
from harness.trial.assess import Latencies, Seen, Trial, assess, checked, witnessed
from harness.trial.bench import Laboratory
from harness.trial.generator import GeneratorFailed
from tests.harness.folders import ROW as BARE
from tests.harness.host.test_interference import busy
from tests.harness.live import PATIENCE, needs_root

PLAN = Plan(
    targets=("dso",), loads=(Closed(2),), workers=2, tenants=1, blocks=9, seconds=0.2, warmup_s=0.1
)
SPECS = list(PLAN.trials())

ROW = replace(BARE, tenants=2, verdict="void: not made", requests_per_second=None)


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
    "sent": 9, "errors": 0, "evidence": None, "generator_cpu_s": 0.5,
    "generator_waited_s": 0.0, "window": [9.9, 12.1]
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


NAN = float("nan")


def test_a_late_last_reading_does_not_lower_the_rate() -> None:
    """The users stop at 12.0; the harness, itself kept waiting, reads the probes at 12.5."""
    done = DONE | {"window": [9.9, 12.0]}
    late = replace(LAST, at=12.5)
    measured = rows(10.5, 11.0, 11.5, 12.01)  # the last was under way when the users stopped
    row = assess(ROW, done, measured, FIRST, late).row
    assert (row.requests, row.measured_s) == (3, 2.0)
    assert row.requests_per_second == pytest.approx(1.5)
    assert row.server_cpu_us_per_request == pytest.approx(0.5 / 4 * 1e6)
    assert assess(ROW, done, rows(12.01), FIRST, late).row.verdict.startswith("void: no request")


def test_times_of_an_open_load_count_from_the_intended_moment() -> None:
    done = DONE | {"window": [10.0, 12.0]}
    rows = np.array(
        [
            (10.5, 1000.0, 9.5),  # of the warm-up, and answered meanwhile
            (10.6, 1000.0, 10.5),
            (11.0, 2000.0, 10.5),
            (12.5, 3000.0, 11.5),  # answered after the window
            (17.0, NAN, 11.9),  # never answered
        ]
    )
    trial = assess(ROW, done, rows, FIRST, LAST)
    row = trial.row
    assert trial.latencies_us.tolist() == [1000.0, 2000.0, 3000.0]
    assert trial.response_us / 1e6 == pytest.approx([0.1, 0.5, 1.0, 5.1])
    assert (row.verdict, row.requests, row.dropped, row.late) == ("ok", 3, 1, 3)
    assert (row.requests_per_second, row.offered_per_second) == (1.5, 2.0)
    assert row.late_worst_ms == pytest.approx(997)
    assert row.p50_ms == pytest.approx(750)
    assert row.max_ms == pytest.approx(5100)
    assert row.server_cpu_us_per_request == pytest.approx(0.5 / 3 * 1e6)


def test_a_stall_of_an_open_load_is_not_cut_off_like_a_start() -> None:
    intended = np.arange(9.5, 12.0, 0.002)
    completed = np.where((intended > 10.2) & (intended < 10.7), 10.7, intended) + 0.001
    rows = np.column_stack([completed, np.full(len(intended), 1000.0), intended])
    trial = assess(ROW, DONE | {"window": [10.0, 12.0]}, rows, FIRST, LAST)
    assert len(trial.response_us) == pytest.approx(1000, abs=1)
    assert (trial.row.measured_s, trial.row.discarded_s) == (2.0, 0.0)
    assert trial.row.p99_ms is not None
    assert trial.row.p99_ms > 400


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(10.5, 1000.0, 9.5)], "no request was to be sent in the measured window"),
        ([(12.5, 1000.0, 11.5)], "no request was answered in the measured window"),
        ([(17.0, NAN, 11.5)], "no request was answered in the measured window"),
    ],
)
def test_an_open_load_without_a_request_is_void(
    rows: list[tuple[float, float, float]], reason: str
) -> None:
    trial = assess(ROW, DONE | {"window": [10.0, 12.0]}, np.array(rows), FIRST, LAST)
    assert trial.row.verdict == f"void: {reason}"
    assert trial.row.requests_per_second is None


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


STEADY_DONE: dict[str, Any] = DONE | {
    "asked_first": 2, "requests_total": 2400, "requests": 2000, "retries": 0, "verified": 2400,
    "sent": 2402, "window": [10.0, 12.0],
}  # fmt: skip


def loop(ends_at: NDArray[np.float64], users: int = 2) -> Latencies:
    """Return the rows of users who never rest and are answered in turn at these times."""
    began = np.concatenate([np.full(users, ends_at[0] - 0.001), ends_at[:-users]])
    return np.column_stack([ends_at, (ends_at - began) * 1e6])


def evenly(*stretches: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return times from each first to each second number, so many a second."""
    return np.concatenate(
        [np.arange(first, last, 1 / per_second) for first, last, per_second in stretches]
    )


def test_a_trial_that_settles_late_counts_from_there() -> None:
    slow_then_fast = loop(evenly((9.6, 10.4, 300), (10.4, 12.0, 2000)))
    trial = assess(ROW, STEADY_DONE, slow_then_fast, FIRST, LAST)
    row = trial.row
    assert row.steady == "yes"
    assert row.discarded_s == pytest.approx(0.4, abs=0.1)
    assert row.steady_from_s == pytest.approx(0.8, abs=0.1)
    assert row.requests_per_second == pytest.approx(2000, rel=0.02)
    assert row.measured_s == pytest.approx(2.0 - (row.discarded_s or 0.0))
    assert row.requests == len(trial.latencies_us)
    whole = np.count_nonzero((slow_then_fast[:, 0] >= 10.0) & (slow_then_fast[:, 0] < 12.0))
    assert row.server_cpu_us_per_request == pytest.approx(0.5 / whole * 1e6)


def test_a_trial_that_never_settles_says_so_and_counts_whole() -> None:
    row = assess(
        ROW, STEADY_DONE, loop(evenly((9.6, 11.5, 2000), (11.5, 12.0, 300))), FIRST, LAST
    ).row
    assert (row.steady, row.steady_from_s, row.discarded_s) == ("no", None, 0.0)
    assert (row.verdict, row.measured_s) == ("ok", 2.0)


def test_a_trial_that_falls_silent_is_not_measured_on_silence() -> None:
    ends = np.concatenate([evenly((9.6, 10.5, 2000)), [12.5]])
    row = assess(ROW, STEADY_DONE, loop(ends), FIRST, LAST).row
    assert row.verdict == "ok"
    assert row.requests == pytest.approx(1000, abs=1)


def self_checked(**changes: Any) -> TrialRow:
    trial = assess(ROW, STEADY_DONE, loop(evenly((9.6, 12.0, 1000))), FIRST, LAST)
    trial = replace(trial, row=replace(trial.row, served=2402))
    return checked(seen(Closed(2), **changes), trial, None).row


def seen(load: Closed, **changes: Any) -> Seen:
    spec = replace(SPECS[0], load=load)
    return Seen(spec, ROW, STEADY_DONE | changes, np.empty((0, 2)), FIRST, LAST)


def test_self_checks_passed() -> None:
    assert (self_checked().verdict, self_checked().self_checks) == ("ok", "passed")


def test_counts_that_contradict_make_a_trial_void() -> None:
    row = self_checked(requests_total=2410)
    assert row.verdict.startswith("void: a self-check failed: the client has 2412 answers")
    assert row.self_checks == row.first_error.removeprefix("a self-check failed: ")  # type: ignore[union-attr]
    assert row.requests_per_second is None
    assert row.sent == 2402


def test_a_contradiction_of_littles_law_is_kept_in_words() -> None:
    trial = assess(ROW, STEADY_DONE, loop(evenly((9.6, 12.0, 1000))), FIRST, LAST)
    trial = replace(trial, row=replace(trial.row, served=2402))
    row = checked(seen(Closed(3)), trial, None).row
    assert row.verdict == "ok"
    assert (row.self_checks or "").startswith("Little's law: 3 users")


def test_what_disturbed_a_trial_is_in_its_row() -> None:
    trial = assess(ROW, STEADY_DONE, loop(evenly((9.6, 12.0, 1000))), FIRST, LAST)
    noise = Noise(foreign_cpu_share=0.2, foreign_cpu_s=0.4, steal_share=0.0, pressure_share=0.9)
    row = witnessed(trial, noise, Witness(1.0, 0), Witness(1.6, 2)).row
    assert row.disturbed == (
        "others took 20% of the server's core; the core was 1.6 times slower than at best after it"
    )
    assert (row.spin_before, row.spin_after, row.runnable_after) == (1.0, 1.6, 2)
    quiet = witnessed(trial, Noise(), Witness(None, 0), Witness(None, 0)).row
    assert (quiet.disturbed, quiet.spin_before) == ("", None)


def test_a_trial_is_void_for_what_it_shows_and_only_silence_may_be_the_hosts_fault() -> None:
    silent = replace(ROW, verdict="void: no request was answered in the measured window")
    wrong = replace(ROW, verdict="void: 1 wrong answers, first: it lied")
    noise = Noise(foreign_cpu_share=0.99, foreign_cpu_s=0.5)
    told, kept, quiet = (
        witnessed(Trial(row, np.empty(0)), one, Witness(None, 0), Witness(None, 0)).row
        for row, one in ((silent, noise), (wrong, noise), (silent, Noise()))
    )
    assert told.verdict == f"{silent.verdict}, while others took 99% of the server's core"
    assert told.disturbed == "others took 99% of the server's core"
    assert (kept.verdict, kept.disturbed) == (wrong.verdict, None)
    assert (quiet.verdict, quiet.disturbed) == (silent.verdict, None)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        base = tmp_path_factory.mktemp("base")
        patch.setenv("TMPDIR", str(base))
        yield base


@contextmanager
def opened(plan: Plan = PLAN) -> Iterator[Laboratory]:
    with (
        Belongings() as belongings,
        Laboratory(belongings, plan, choose(plan.targets), Cores((), ())) as laboratory,
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
    cpus = probes.usable_cpus()
    if len(cpus) < 2:
        pytest.skip("server and generator share the one processor")
    cores = Cores((cpus[-1],), (cpus[0],))
    plan = replace(PLAN, seconds=0.5)
    with (
        Belongings() as belongings,
        Laboratory(belongings, plan, choose(plan.targets), cores) as laboratory,
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


INTERLEAVED = replace(PLAN, targets=("dso", "ruid2"), slice_s=0.1)
BROKEN = Target("broken", "nomode", "none", "server", "", {})


@needs_root
def test_interleaved_servers_live_together(place: Path) -> None:
    before = set(place.iterdir())
    specs = list(INTERLEAVED.trials())[:2]
    with (
        Belongings() as belongings,
        Laboratory(
            belongings, INTERLEAVED, choose(INTERLEAVED.targets), Cores((), ())
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
def test_a_server_that_fails_does_not_stop_those_it_is_interleaved_with(place: Path) -> None:
    plan = replace(INTERLEAVED, targets=("dso", "broken"))
    with (
        Belongings() as belongings,
        Laboratory(belongings, plan, [*choose(["dso"]), BROKEN], Cores((), ())) as laboratory,
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
        Belongings() as belongings,
        Laboratory(
            belongings, INTERLEAVED, choose(INTERLEAVED.targets), Cores((), ())
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
        Belongings() as belongings,
        Laboratory(belongings, STALLED, choose(STALLED.targets), Cores((), ())) as laboratory,
    ):
        for spec in STALLED.trials():
            with stalled(belongings, monkeypatch):
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
def stalled(belongings: Belongings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
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
        pids = probes.processes_of(server, belongings.processes)
        threads.append(Thread(target=stall, args=[pids]))
        threads[0].start()

    at_first_reading(monkeypatch, begin)
    yield
    threads[0].join()
