"""A whole run in milliseconds, on a bench that needs no server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import runner
from harness.interruption import Interrupted
from harness.matrix import Plan, Spec
from harness.results import ResultsFolder, TrialRow
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


def test_a_void_trial_does_not_stop_the_run(folder: ResultsFolder) -> None:
    runner.carry_out(PLAN, Bench(void="cgi"), folder, Watcher())
    assert runner.remaining(PLAN, folder) == []
    voids = list(runner.voids(folder))
    assert len(voids) == len(folder.trials()) / 2
    assert {verdict for _, verdict in voids} == {"void: it lied"}
    assert all("/cgi/" in trial for trial, _ in voids)
