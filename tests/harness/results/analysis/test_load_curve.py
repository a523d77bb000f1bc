"""What a sweep found: points by load, and whether the generator was the limit."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.plan.loads import Knee, Sweep
from harness.plan.plan import Plan
from harness.results.analysis.load_curve import Point, Swept, generator_bound, sweeps
from harness.results.conditions import portions_apart
from harness.results.folder import ResultsFolder
from tests.harness.folders import ROW
from tests.harness.live import MANIFEST

KNEES = (
    Knee("null", "hello", "close", 8, 10_000.0),
    Knee("dso", "hello", "close", 8, 8_000.0),
    Knee("cgi", "hello", "close", 2, 100.0),
)
PLAN = Plan(
    targets=("dso", "cgi"),
    loads=(Sweep(),),
    connections=("close",),
    blocks=2,
    ceilings=("null",),
    knees=KNEES,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ResultsFolder:
    """A sweep of a target whose latency grows with the load, and of one with few requests."""
    path: Path = tmp_path_factory.mktemp("swept") / "out"
    random = np.random.default_rng(1)
    made = []
    with ResultsFolder.create(path, MANIFEST) as folder:
        for spec in PLAN.trials():
            percent = int(str(spec.load).removeprefix("open:").removesuffix("%"))
            rate = KNEES[1].rate if spec.target == "dso" else KNEES[2].rate
            offered = rate * percent / 100
            latencies = random.exponential(100 / (1 - percent / 100), int(offered))
            row = replace(
                ROW,
                trial=spec.trial,
                block=spec.block,
                position=spec.position,
                target=spec.target,
                load=str(spec.load),
                connection=spec.connection,
                requests_per_second=offered * 0.99,
                offered_per_second=offered,
                generator_cpu_share=0.1,
                steal_share=0.0,
            )
            made.append((row, latencies, latencies + 100))
        folder.append_trials(made)
    return ResultsFolder.open(path)


def test_points_are_in_the_order_of_the_load(folder: ResultsFolder) -> None:
    summary = folder.summary()
    found = sweeps(folder.trials(), folder.latency(), summary, PLAN.to_json())
    ((place, (dso, cgi)),) = found.items()
    assert place == ("hello", "close")
    assert (dso.target, cgi.target) == ("dso", "cgi")
    assert [point.percent for point in dso.points] == [20, 50, 80, 95]
    assert [point.offered for point in dso.points] == pytest.approx([1600, 4000, 6400, 7600])
    assert dso.points[0].completed == pytest.approx(1584)
    p99 = [point.p99_ms for point in dso.points]
    assert p99 == sorted(p99)
    assert p99[-1] == pytest.approx(9.2, rel=0.1)  # 2 ms * ln(100)
    assert not cgi.telling
    assert all(point.p50_ms > 0 for point in cgi.points)
    assert (dso.generator_bound, cgi.generator_bound) == (True, False)


def test_a_summary_gives_no_ratios_between_loads_of_ones_own(folder: ResultsFolder) -> None:
    common, portions = portions_apart(folder.summary())
    assert common.empty
    assert len(portions) == 8
    assert portions["ratio_to_dso"].isna().all()


def test_a_run_without_a_sweep_has_none(folder: ResultsFolder) -> None:
    common, _ = portions_apart(folder.summary())
    assert sweeps(folder.trials(), folder.latency(), common, {}) == {}


def points(*p99_ms: float) -> tuple[Point, ...]:
    return tuple(Point(20, 100.0 * n, 100.0 * n, 1, ms) for n, ms in enumerate(p99_ms, 1))


def test_a_load_is_held_when_all_lower_ones_are() -> None:
    held = Swept("dso", points(1, 9, 40, 5)).holds_up_to(10)
    assert held is not None
    assert held.offered == 200
    assert Swept("dso", points(11, 9)).holds_up_to(10) is None
    assert Swept("dso", points(math.nan, 9)).holds_up_to(10) is None


def test_a_knee_near_the_ceiling_may_be_the_generators() -> None:
    knees = PLAN.to_json()["knees"]
    assert generator_bound(knees, ["null"]) == {("dso", "hello", "close")}
    assert generator_bound(knees, []) == set()
