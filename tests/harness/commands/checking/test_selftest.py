"""The command `selftest`: what it says, when it fails, and one short one for real."""

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from harness import cli
from harness.commands.checking import selftest
from harness.errors import IsobenchError
from harness.plan.loads import Closed
from harness.plan.plan import Spec
from harness.results.folder import ResultsFolder
from harness.trial.beside import selftest_verdict
from harness.trial.beside.selftest_verdict import QUICK, VARIANTS, Outcome, Procedure
from tests.harness.live import Isobench, needs_root
from tests.harness.trial.beside.test_selftest_verdict import PLANTED, concluded, trials
from tests.harness.trial.judging.test_assess import ROW

TINY = Procedure(
    comparisons=1,
    blocks=2,
    seconds=0.6,
    warmup_s=0.05,
    slice_s=0.3,  # long enough for the requests of a busy host
    pilots=1,
    pilot_seconds=0.1,
)


def made_up(procedure: Procedure = QUICK, factors: Mapping[str, float] = PLANTED) -> Outcome:
    return concluded(procedure, trials(procedure, factors))


def shown(outcome: Outcome) -> str:
    console = Console(file=io.StringIO(), width=80, markup=False)
    selftest.show(outcome, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_has_a_line_a_share() -> None:
    text = shown(made_up(Procedure()))
    assert "dso takes 80 µs of CPU a request here; seed 3" in text
    lines = {tuple(line.split()[:2]): line for line in text.splitlines()[2:]}
    assert "0 of 40" in lines["again", "CPU/req"]
    assert "≤ 5%: met" in lines["again", "CPU/req"]
    assert "40 of 40" in lines["plant=5%", "CPU/req"]
    assert "≥ 80%: met" in lines["plant=5%", "CPU/req"]
    assert "+10.0%" in lines["plant=10%", "CPU/req"]
    assert "met" not in lines["plant=10%", "req/s"]
    assert max(map(len, text.splitlines())) <= 80
    assert "fewer comparisons" not in text


def test_the_quick_one_says_that_it_is_less_sure() -> None:
    assert "fewer comparisons" in shown(made_up())
    assert "fewer comparisons" in selftest.announcement(QUICK)
    assert "fewer comparisons" not in selftest.announcement(Procedure())
    assert "40 comparisons of 7 blocks" in selftest.announcement(Procedure())


def test_it_says_when_its_time_was_over_too_soon() -> None:
    frame = trials(QUICK, PLANTED)
    text = shown(concluded(QUICK, frame[frame["block"] <= 5 * QUICK.blocks]))
    assert "the time was over after 5 of 6 comparisons" in text


def test_a_missed_goal_is_an_error(tmp_path: Path) -> None:
    selftest.refuse(made_up(), tmp_path)
    with pytest.raises(IsobenchError, match=r"plant=5% was called different in 0 of 6") as caught:
        selftest.refuse(made_up(factors={}), tmp_path)
    assert caught.value.exit_code == 1
    assert "isobench doctor" in caught.value.hint
    assert "missed" in shown(made_up(factors={}))


def test_a_void_trial_is_an_error(tmp_path: Path) -> None:
    frame = trials(QUICK, PLANTED)
    frame.loc[0, "verdict"] = "void: it lied"
    with pytest.raises(IsobenchError, match="void trials: 1") as caught:
        selftest.refuse(concluded(QUICK, frame), tmp_path)
    assert caught.value.exit_code == 1
    assert f"{tmp_path}/trials.parquet" in caught.value.hint


def test_where_there_is_no_terminal_it_prints_a_line_a_comparison() -> None:
    console = Console(file=io.StringIO(), width=160)
    counter = selftest.Counter(console, Procedure(comparisons=2, blocks=2))
    for block in (1, 2, 3):
        spec = Spec(block, 1, "dso", "hello", Closed(2), "close")
        counter.begins(spec)
        counter.ended(spec, ROW)
    assert isinstance(console.file, io.StringIO)
    written = console.file.getvalue()
    assert written.count("comparison 1 of 2") == written.count("comparison 2 of 2") == 1
    assert written.count("void: not made") == 3


@pytest.mark.parametrize(
    ("words", "procedure"), [("--seed 7", Procedure()), ("--quick --seed 7", QUICK)]
)
def test_the_command_chooses_the_procedure(
    monkeypatch: pytest.MonkeyPatch, words: str, procedure: Procedure
) -> None:
    calls = []
    monkeypatch.setattr(selftest, "start", lambda *arguments: calls.append(arguments[:3]))
    monkeypatch.setattr(sys, "argv", ["isobench", "selftest", *words.split()])
    assert cli.main() == 0
    assert calls == [(procedure, 7, None)]


@needs_root
def test_a_short_one_for_real(
    isobench: Isobench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(isobench.temporary))
    console = Console(file=io.StringIO(), width=160)
    out = tmp_path / "out"
    selftest.start(TINY, 5, out, console)
    assert isobench.lasting_traces() == []
    content = json.loads((out / selftest.FILE).read_text())
    assert content["seed"] == 5
    assert content["void"] == 0
    assert content["service_us"] > 0
    assert {one["blocks"] for one in content["comparisons"]} == {2}
    with ResultsFolder.open(out) as folder:
        assert folder.manifest.finished_at
        assert set(folder.trials()["target"]) == {
            selftest_verdict.BASELINE,
            *(v.name for v in VARIANTS),
        }
        assert (folder.trials()["attempt"] == 1).sum() == 8
    with pytest.raises(IsobenchError, match="already holds results"):
        selftest.start(TINY, 5, out, console)
