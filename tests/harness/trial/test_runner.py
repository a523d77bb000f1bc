"""A whole run in milliseconds, on a bench that needs no server."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.commands.signals import Interrupted
from harness.plan.plan import Plan, Spec
from harness.plan.stopping import FIRST_LOOK
from harness.results.folder import ResultsFolder
from harness.results.rows import TrialRow
from harness.trial import runner
from harness.trial.outcome import Trial
from tests.harness.bench import Bench
from tests.harness.live import MANIFEST

PLAN = Plan(targets=("cgi", "dso"), blocks=3, seed=7)


class Watcher:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def begins(self, spec: Spec) -> None:
        self.told.append(("begins", spec.trial))

    def ended(self, spec: Spec, row: TrialRow) -> None:
        self.told.append((row.verdict, spec.trial))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[ResultsFolder]:
    with ResultsFolder.create(tmp_path / "out", MANIFEST) as folder:
        yield folder


def test_every_trial_is_made_in_order_and_written_down(folder: ResultsFolder) -> None:
    bench, watcher = Bench(), Watcher()
    runner.carry_out(PLAN, bench, folder, watcher)
    assert bench.made == list(PLAN.trials())
    assert folder.trials()["trial"].tolist() == [spec.trial for spec in PLAN.trials()]
    assert folder.latency()["count"].tolist() == [2] * len(bench.made)
    assert watcher.told == [
        (what, spec.trial) for spec in PLAN.trials() for what in ("begins", "ok")
    ]
    assert runner.remaining(PLAN, folder) == []


@pytest.mark.parametrize("breaks_at", range(len(list(PLAN.trials()))))
def test_an_interrupted_run_goes_on_where_it_stopped(folder: ResultsFolder, breaks_at: int) -> None:
    first, second = Bench(breaks_at=breaks_at), Bench()
    with pytest.raises(Interrupted):
        runner.carry_out(PLAN, first, folder, Watcher())
    assert len(folder.trials()) == breaks_at
    runner.carry_out(PLAN, second, folder, Watcher())
    assert first.made + second.made == list(PLAN.trials())
    assert folder.trials()["trial"].tolist() == [spec.trial for spec in PLAN.trials()]


class OpenBench(Bench):
    """Its trials have a response time a request too."""

    def measure(self, spec: Spec) -> Trial:
        return replace(super().measure(spec), response_us=np.array([5000.0, 700.0, 6000.0]))


def test_both_clocks_of_an_open_load_are_kept(folder: ResultsFolder) -> None:
    runner.carry_out(replace(PLAN, blocks=1), OpenBench(), folder, Watcher())
    latency = folder.latency()
    counts = {clock: set(rows["count"]) for clock, rows in latency.groupby("clock")}
    assert counts == {"response": {3}, "service": {2}}


def test_a_void_trial_does_not_stop_the_run(folder: ResultsFolder) -> None:
    runner.carry_out(PLAN, Bench(void="cgi"), folder, Watcher())
    assert runner.remaining(PLAN, folder) == []
    voids = list(runner.voids(folder))
    assert len(voids) == len(folder.trials()) / 2
    assert {verdict for _, verdict in voids} == {"void: it lied"}
    assert all("/cgi/" in trial for trial, _ in voids)


class Clock:
    """Gives the time that trials take: each so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._looks = 0

    def __call__(self) -> float:
        self._looks += 1
        return self._looks // 2 * self._seconds


class Noisy(Bench):
    """Some trials are disturbed: those whose names are given; rates scatter by `spread`."""

    def __init__(self, *disturbed: str, spread: float = 0.0, breaks_at: int | None = None) -> None:
        super().__init__(breaks_at=breaks_at)
        self.disturbed = disturbed
        self.spread = spread

    def measure(self, spec: Spec) -> Trial:
        trial = super().measure(spec)
        bad = spec.trial in self.disturbed or "all" in self.disturbed
        scatter = 1 + self.spread * (spec.block * 7 % 5) * (spec.target == "cgi")
        row = replace(
            trial.row,
            requests_per_second=100.0 * scatter,
            disturbed="others took 40% of the server's core" if bad else "",
        )
        return replace(trial, row=row)


def names(folder: ResultsFolder) -> list[str]:
    return list(folder.trials()["trial"])


SECOND = "002/cgi/hello/closed:8/close"


def test_a_disturbed_trial_is_made_again_at_the_end_of_its_block(folder: ResultsFolder) -> None:
    bench = Noisy(SECOND)
    runner.carry_out(PLAN, bench, folder, Watcher())
    made = names(folder)
    assert len(made) == len(list(PLAN.trials())) + 1
    place = made.index(f"{SECOND}/2")
    assert {name[:3] for name in made[:place]} == {"001", "002"}
    assert {name[:3] for name in made[place + 1 :]} == {"003"}
    again = folder.trials().iloc[place]
    assert (again["attempt"], again["block"], again["position"]) == (2, 2, 5)
    assert runner.remaining(PLAN, folder) == []


class Starved(Bench):
    """Some trials, whose names are given, show nothing, since others had the server's core."""

    def __init__(self, *starved: str) -> None:
        super().__init__()
        self.starved = starved

    def measure(self, spec: Spec) -> Trial:
        trial = super().measure(spec)
        if spec.trial not in self.starved:
            return trial
        row = replace(
            trial.row, verdict="void: silence", requests_per_second=None, disturbed="others"
        )
        return Trial(row, np.empty(0))


def test_a_trial_that_was_silenced_is_made_again_and_forgiven(folder: ResultsFolder) -> None:
    runner.carry_out(PLAN, Starved(SECOND), folder, Watcher())
    assert [name for name in names(folder) if name.startswith(SECOND)] == [SECOND, f"{SECOND}/2"]
    assert list(runner.voids(folder)) == []


def test_a_trial_that_was_silenced_twice_is_not_forgiven(folder: ResultsFolder) -> None:
    runner.carry_out(PLAN, Starved(SECOND, f"{SECOND}/2"), folder, Watcher())
    assert [trial for trial, _ in runner.voids(folder)] == [SECOND, f"{SECOND}/2"]


def test_a_trial_is_made_again_only_once(folder: ResultsFolder) -> None:
    runner.carry_out(PLAN, Noisy(SECOND, f"{SECOND}/2"), folder, Watcher())
    assert [name for name in names(folder) if name.startswith(SECOND)] == [SECOND, f"{SECOND}/2"]


def test_a_host_that_is_never_quiet_has_an_end(folder: ResultsFolder) -> None:
    plan = replace(PLAN, blocks=7)
    runner.carry_out(plan, Noisy("all"), folder, Watcher())
    trials = folder.trials()
    assert len(trials) == 4 * (7 + 2)  # one block's worth, and another from the sixth on
    assert set(trials[trials["attempt"] == 2]["block"]) == {1, 6}


@pytest.mark.parametrize("breaks_at", [5, 7, 8, 9, 13])
def test_a_resumed_run_makes_the_same_trials_again(tmp_path: Path, breaks_at: int) -> None:
    disturbed = (SECOND, "003/dso/hello/closed:8/close")
    plan = replace(PLAN, blocks=3)
    runs = []
    for place, interrupted in (("whole", None), ("resumed", breaks_at)):
        with ResultsFolder.create(tmp_path / place, MANIFEST) as folder:
            bench = Noisy(*disturbed, breaks_at=interrupted)
            if interrupted is not None:
                with pytest.raises(Interrupted):
                    runner.carry_out(plan, bench, folder, Watcher())
            runner.carry_out(plan, Noisy(*disturbed), folder, Watcher())
            runs.append(names(folder))
    assert runs[0] == runs[1]


GOING_ON = replace(PLAN, blocks=200, precision=0.03)


def test_a_run_goes_on_until_it_is_precise(folder: ResultsFolder) -> None:
    runner.carry_out(GOING_ON, Noisy(), folder, Watcher())
    assert folder.trials()["block"].max() == FIRST_LOOK
    runner.conclude(GOING_ON, folder)
    assert folder.manifest.stopped["by"] == "precision"
    assert folder.manifest.finished_at is not None


def test_more_scatter_takes_more_blocks(folder: ResultsFolder) -> None:
    runner.carry_out(GOING_ON, Noisy(spread=0.02), folder, Watcher())
    blocks = folder.trials()["block"].max()
    assert FIRST_LOOK < blocks < 30
    assert runner.remaining(GOING_ON, folder) == []


def test_a_budget_ends_between_blocks_and_counts_on_after_a_resume(folder: ResultsFolder) -> None:
    plan = replace(GOING_ON, precision=0.0001, budget_s=60.0)
    clock = Clock(3.0)  # four trials of 3 s a block: five blocks
    with pytest.raises(Interrupted):
        runner.carry_out(plan, Noisy(spread=0.02, breaks_at=9), folder, Watcher(), clock)
    runner.carry_out(plan, Noisy(spread=0.02), folder, Watcher(), Clock(3.0))
    trials = folder.trials()
    assert len(trials) == 20
    assert set(trials["took_s"]) == {3.0}
    runner.conclude(plan, folder)
    stopped = ResultsFolder.open(folder.path).manifest.stopped
    assert (stopped["by"], stopped["spent_s"], stopped["block_s"]) == ("budget", 60.0, 12.0)
    assert {one["target"] for one in stopped["wanting"]} == {"cgi"}
    assert all(one["more_blocks"] > 5 for one in stopped["wanting"])
