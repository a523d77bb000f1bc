"""Mechanisms are measured beside the trials of a run, once a block, and written down apart."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.commands.signals import Interrupted
from harness.errors import IsobenchError
from harness.plan.loads import Open
from harness.plan.plan import MECHANISM_BLOCKS, Plan
from harness.results.folder import ResultsFolder
from harness.target.targets import choose
from harness.trial import runner
from harness.trial.beside import mechanisms
from harness.trial.outcome import Trial
from tests.harness.bench import Bench
from tests.harness.folders import ROW
from tests.harness.live import MANIFEST
from tests.harness.trial.test_runner import Watcher

PLAN = Plan(
    targets=("dso", "ruid2"),
    connections=("keep-alive", "close"),
    blocks=6,
    slice_s=0.03,
    mechanisms=("fork", "identity"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[ResultsFolder]:
    with ResultsFolder.create(tmp_path / "out", MANIFEST) as folder:
        yield folder


def test_each_is_measured_with_the_baseline_under_one_condition() -> None:
    specs = PLAN.of_mechanisms(2)
    assert [spec.target for spec in specs] == ["dso", "dso+fork", "dso+identity"]
    assert {(spec.block, spec.workload, spec.connection) for spec in specs} == {
        (2, "hello", "close")
    }
    assert PLAN.seconds_together(specs) < PLAN.seconds_together(list(PLAN.trials())[:1])
    assert Plan.from_json(PLAN.to_json()) == PLAN


@pytest.mark.parametrize(
    "changes",
    [
        {"slice_s": None},
        {"loads": (Open(50),)},
        {"workloads": ("imports",)},
        {"targets": ("ruid2",)},
        {"mechanisms": ()},
    ],
)
def test_where_modes_cannot_be_compared_none_is_measured(changes: dict[str, object]) -> None:
    assert replace(PLAN, **changes).of_mechanisms(1) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"slice_s": None}, "targets are not interleaved"),
        ({"loads": (Open(50),)}, "no load is closed"),
        ({"workloads": ("imports",)}, "the workload hello is not measured"),
        ({"targets": ("ruid2",)}, "dso is not among the targets"),
    ],
)
def test_whoever_asks_for_them_is_told_why_they_cannot_be_measured(
    changes: dict[str, object], reason: str
) -> None:
    mechanisms.must_be_measurable(PLAN)
    with pytest.raises(IsobenchError, match=reason) as caught:
        mechanisms.must_be_measurable(replace(PLAN, **changes))  # type: ignore[arg-type]
    assert "--mechanisms" in caught.value.hint


def test_the_first_blocks_measure_them_and_write_them_apart(folder: ResultsFolder) -> None:
    bench = Bench()
    runner.carry_out(PLAN, bench, folder, Watcher())
    table = folder.table("mechanisms")
    assert [*zip(table["block"], table["mechanism"], strict=True)] == [
        (block, name) for block in range(1, MECHANISM_BLOCKS + 1) for name in ("fork", "identity")
    ]
    assert set(table["verdict"]) == {"ok"}
    assert set(folder.trials()["target"]) == {"dso", "ruid2"}
    assert len(folder.trials()) == len(list(PLAN.trials()))


def test_a_resumed_run_does_not_measure_them_again(folder: ResultsFolder) -> None:
    with pytest.raises(Interrupted):
        runner.carry_out(PLAN, Bench(breaks_at=4), folder, Watcher())  # three, then a trial
    assert len(folder.table("mechanisms")) == 2
    runner.carry_out(PLAN, Bench(), folder, Watcher())
    assert len(folder.table("mechanisms")) == 2 * MECHANISM_BLOCKS


def trial(target: str, verdict: str = "ok", us: float = 100.0) -> Trial:
    row = replace(ROW, target=target, verdict=verdict, server_cpu_us_per_request=us)
    return Trial(row, np.empty(0))


def test_a_row_has_what_the_baseline_took_beside_it() -> None:
    (row,) = mechanisms.rows([trial("dso"), trial("dso+fork", us=700.0)], 3.0)
    assert (row.mechanism, row.cpu_us_per_request, row.baseline_cpu_us_per_request) == (
        *("fork", 700.0),
        100.0,
    )
    assert row.took_s == 3.0


@pytest.mark.parametrize("void", ["dso", "dso+fork"])
def test_where_one_of_the_two_is_void_there_are_no_numbers(void: str) -> None:
    verdicts = {"dso": "ok", "dso+fork": "ok", void: "void: it lied"}
    (row,) = mechanisms.rows([trial(name, told) for name, told in verdicts.items()], 3.0)
    assert row.verdict == "void: it lied"
    assert row.cpu_us_per_request is None


def test_a_server_of_a_mechanism_is_that_of_dso_but_for_it() -> None:
    targets = choose(["dso", "ruid2"])
    found = mechanisms.as_targets(PLAN, targets)
    assert [(one.name, one.mode, one.mechanism) for one in found] == [
        ("dso+fork", "dso", "fork"),
        ("dso+identity", "dso", "identity"),
    ]
    assert mechanisms.as_targets(PLAN, targets[1:]) == []
    assert "identity" in mechanisms.of(targets)
