"""The search for each target's knee, and the loads that follow from it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.plan.loads import Closed, Knee, Open, Portion, Sweep
from harness.plan.plan import Plan, Spec
from harness.results.folder import ResultsFolder
from harness.trial import runner
from harness.trial.beside import knee as sweep
from harness.trial.outcome import Trial
from tests.harness.bench import Bench
from tests.harness.live import MANIFEST
from tests.harness.trial.test_runner import Watcher

PLAN = Plan(
    targets=("dso", "cgi"), loads=(Sweep(),), blocks=2, workers=8, ceilings=("null",), seed=3
)
CAPACITY = {"null": 30_000.0, "dso": 8_000.0, "cgi": 100.0}


class Growing(Bench):
    """Each user of a target brings 1,000 requests a second more, up to the target's capacity."""

    def measure(self, spec: Spec) -> Trial:
        trial = super().measure(spec)
        if trial.row.verdict != "ok" or not isinstance(spec.load, Closed):
            return trial
        rate = min(1_000.0 * spec.load.users, CAPACITY[spec.target])
        return replace(trial, row=replace(trial.row, requests_per_second=rate))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[ResultsFolder]:
    with ResultsFolder.create(tmp_path / "out", MANIFEST) as folder:
        yield folder


def test_users_are_doubled() -> None:
    assert list(sweep.doubled(1)) == [1]
    assert list(sweep.doubled(8)) == [1, 2, 4, 8]
    assert list(sweep.doubled(11)) == [1, 2, 4, 8, 11]
    assert sweep.most_users(PLAN, "close") == 64
    assert sweep.most_users(PLAN, "keep-alive") == 8


@pytest.mark.parametrize(
    ("rates", "seen"),
    [
        ([100, 200, 203, 204, 500], 4),
        ([100, 98, 200, 400, 410, 405, 900], 6),
        ([100, 0, 300], 2),
        ([100, 200, 400, 800, 1600, 3200, 6400], 7),
    ],
)
def test_the_climb_ends_where_nothing_is_gained_twice(rates: list[float], seen: int) -> None:
    left = iter(rates)
    curve = sweep.climb(lambda users: next(left), 64)
    assert [rate for _, rate in curve] == rates[:seen]
    assert [users for users, _ in curve] == [2**step for step in range(seen)]


def test_the_knee_is_the_best_rate_and_the_fewest_users_for_it() -> None:
    search = ("dso", "hello", "close")
    knee = sweep.knee_of(search, [(1, 100.0), (2, 196.0), (4, 203.0), (8, 190.0)])
    assert (knee.target, knee.users, knee.rate) == ("dso", 2, 203.0)
    assert sweep.knee_of(search, [(1, 100.0), (2, 0.0)]).rate == 0
    assert sweep.knee_of(search, [(1, 0.0)]).rate == 0


def test_knees_are_found_and_told_one_by_one() -> None:
    plans: list[Plan] = []
    bench = Growing()
    plan = sweep.find_knees(PLAN, bench, Watcher(), plans.append, lambda trial: None)
    assert [len(found.knees) for found in plans] == [1, 2, 3, 4, 5, 6]
    assert plan == plans[-1]
    rates = {(knee.target, knee.connection): knee.rate for knee in plan.knees}
    assert rates[("dso", "close")] == rates[("dso", "keep-alive")] == 8_000
    assert rates[("null", "close")] == 30_000
    assert rates[("null", "keep-alive")] == 8_000  # of eight workers
    assert all(spec.block == 0 for spec in bench.made)
    assert sweep.wanted(plan) == []
    assert Plan.from_json(plan.to_json()) == plan


def test_without_a_sweep_none_are_wanted() -> None:
    assert sweep.wanted(replace(PLAN, loads=(Closed(8), Open(50)))) == []


def test_a_search_goes_on_where_it_stopped() -> None:
    found = tuple(Knee(target, "hello", "close", 1, 1.0) for target in ("null", "dso"))
    left = sweep.wanted(replace(PLAN, knees=found))
    assert ("dso", "hello", "close") not in left
    assert len(left) == 4


def test_a_target_that_fails_is_not_swept() -> None:
    failed: list[Trial] = []
    plan = sweep.find_knees(PLAN, Growing(void="cgi"), Watcher(), lambda plan: None, failed.append)
    assert [trial.row.verdict for trial in failed] == ["void: it lied"] * 2
    assert {spec.target for spec in plan.trials()} == {"dso"}


def test_each_target_gets_loads_of_its_own(folder: ResultsFolder) -> None:
    plan = sweep.find_knees(PLAN, Growing(), Watcher(), lambda plan: None, lambda trial: None)
    specs = list(plan.trials())
    assert {spec.target for spec in specs} == {"dso", "cgi"}  # a ceiling has no open load
    assert len(specs) == 2 * 2 * 2 * len(Sweep.percents)
    offered = {
        (spec.target, str(spec.load)): spec.load.rate
        for spec in specs
        if isinstance(spec.load, Portion)
    }
    assert offered[("dso", "open:20%")] == pytest.approx(1_600)
    assert offered[("cgi", "open:95%")] == pytest.approx(95)
    runner.carry_out(plan, Growing(), folder, Watcher())
    assert set(folder.trials()["load"]) == {f"open:{percent}%" for percent in Sweep.percents}
    assert runner.remaining(plan, folder) == []


def test_its_trials_are_short_and_those_of_ceilings_too() -> None:
    plan = replace(PLAN, loads=(Closed(8),), seconds=2.0, warmup_s=0.5)
    by_target = {spec.target: plan.times(spec) for spec in plan.trials()}
    assert by_target == {"null": (0.25, 0.5), "dso": (0.5, 2.0), "cgi": (0.5, 2.0)}
    short = replace(plan, seconds=0.1, warmup_s=0.05)
    assert {short.times(spec) for spec in short.trials()} == {(0.05, 0.1)}
    assert plan.times(Spec(0, 1, "dso", "hello", Closed(1), "close")) == (0.2, 0.5)
