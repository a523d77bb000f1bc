"""`isobench costs` as a command: a folder of its own, or that of an earlier run, and no traces."""

import io
import json
import os
import random
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.commands.measuring import costs as command
from harness.commands.measuring.costs import Step
from harness.costs import imports
from harness.costs.effort import QUICK, Effort
from harness.costs.samples import Missing, Sample, Subject
from harness.errors import IsobenchError
from harness.results.folder import ResultsFolder
from tests.harness.live import MANIFEST, Isobench, until
from workloads.catalog import WORKLOADS

FORK = "fork"
TINY = replace(
    QUICK, rounds=2, heaps_mib=(2, 10, 60), creation_us=1_000, python_heaps_mib=(0, 5), tenants=2
)


def step(name: str, order: list[str]) -> Step:
    def take(number: int, chance: random.Random) -> Iterable[Sample | Missing]:
        order.append(name)
        for mib in (10, 100):
            subject = Subject("creation", name, f"{mib} MiB", heap_mib=mib, pages="small")
            yield Sample(subject, number, 50.0 + mib + chance.random(), 3)
        yield Missing("lua", "it is not installed")

    return Step(name, 0.1, take)


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch, undrawn: None) -> list[str]:
    """The steps' names as they are taken; nothing is really measured."""
    taken: list[str] = []
    steps = [step(name, taken) for name in (FORK, "vfork", "clone3", "thread")]
    monkeypatch.setattr(command, "_steps", lambda *_: iter(steps))
    return taken


def start(out: Path, seed: int = 1, effort: Effort = QUICK) -> str:
    output = io.StringIO()
    command.start(effort, seed, out, Console(file=output, width=100))
    return output.getvalue()


@pytest.mark.usefixtures("order")
def test_a_folder_of_its_own_is_complete(tmp_path: Path) -> None:
    processors = os.sched_getaffinity(0)
    said = start(tmp_path / "out")
    folder = ResultsFolder.open(tmp_path / "out")
    costs = folder.table("costs")
    assert set(costs["measure"]) == {"creation", "line"}
    assert (costs[costs["measure"] == "creation"]["rounds"] == QUICK.rounds).all()
    assert folder.manifest.finished_at
    record = folder.manifest.also["costs"]
    assert record["missing"] == [{"name": "lua", "reason": "it is not installed"}]
    assert (record["seed"], record["rounds"]) == (1, QUICK.rounds)
    assert f"report: {tmp_path / 'out' / 'report.html'}" in said
    assert "left out: lua (it is not installed)" in said
    assert os.sched_getaffinity(0) == processors


def test_rounds_are_shuffled_by_the_seed(order: list[str], tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        start(tmp_path / name, seed)
    size = len(order) // 3
    first, second, third = (order[at : at + size] for at in (0, size, 2 * size))
    assert first == second != third
    assert sorted(first[:4]) == sorted(first[4:8])


@pytest.mark.usefixtures("order")
def test_an_earlier_run_gets_costs_once(tmp_path: Path) -> None:
    with ResultsFolder.create(tmp_path, MANIFEST) as folder:
        folder.finish()
    finished_at = ResultsFolder.open(tmp_path).manifest.finished_at
    start(tmp_path)
    now = ResultsFolder.open(tmp_path).manifest
    assert (now.run_id, now.argv, now.finished_at) == (MANIFEST.run_id, MANIFEST.argv, finished_at)
    assert now.also.keys() == {"costs"}
    with pytest.raises(IsobenchError, match="already has costs"):
        start(tmp_path)


@pytest.mark.usefixtures("order")
def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trials.parquet").write_text("")
    with pytest.raises(IsobenchError, match="already holds results"):
        start(tmp_path)


def test_every_workload_shows_its_imports_whoever_looks(tmp_path: Path) -> None:
    scripts = list(command._scripts(tmp_path))
    assert [one.workload for one in scripts] == [imports.START, *WORKLOADS]
    for script in scripts:
        assert all(isinstance(one, Sample) for one in imports.one_round(script, 1))
        assert script.path.stat().st_uid == os.geteuid()


def test_an_interruption_leaves_nothing(isobench: Isobench, tmp_path: Path) -> None:
    out = tmp_path / "results"
    with isobench.started("costs", "--quick", "--seed", "1", "--out", out) as process:
        until(lambda: "round 1" in (isobench.directory / "out").read_text())
        process.send_signal(signal.SIGINT)
        ended = isobench.end_of(process)
    assert ended.code == 130
    assert "Traceback" not in ended.err
    assert isobench.lasting_traces() == []
    assert not out.exists()


def test_for_real_it_measures_everything_at_once(
    isobench: Isobench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(isobench.temporary))
    start(tmp_path / "results", effort=TINY)
    costs = ResultsFolder.open(tmp_path / "results").table("costs")
    assert set(costs["measure"]) == {
        *("creation", "line", "heap", "load", "import"),
        *(("worker",) if os.geteuid() == 0 else ()),
    }
    assert set(costs["group"]) == {"process", "interpreter"}
    assert (costs["value_us"] >= 0).all() or set(costs[costs["value_us"] < 0]["measure"]) == {
        "line"
    }
    written = {path.name for path in (tmp_path / "results" / "figures").iterdir()}
    names = ("costs-processes", "costs-interpreters", "costs-imports")
    assert written == {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    manifest = json.loads((tmp_path / "results" / "run.json").read_text())
    assert manifest["finished_at"]
    assert isobench.lasting_traces() == []
