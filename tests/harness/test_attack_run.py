"""The command `isobench attack`, from the wish to the folder."""

import signal
from pathlib import Path

import pytest

from harness import attack_run
from harness.errors import IsobenchError
from harness.results import ResultsFolder
from tests.harness.live import RUN, Isobench, needs_root, until

SOME = ("neighbours_secret", "setuid_root", "kill_sibling", "patched_open")


def test_names_and_families_select() -> None:
    selected = attack_run.select(["neighbours_secret", "guard"])
    assert {one.family for one in selected} == {"reading", "guard"}
    assert len([one for one in selected if one.family == "reading"]) == 1


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(IsobenchError) as caught:
        attack_run.select(["neighbours_secrets"])
    assert caught.value.hint == "did you mean neighbours_secret?"


@needs_root
def test_attacks_are_written_down_with_their_evidence(isobench: Isobench, tmp_path: Path) -> None:
    out = tmp_path / "results"
    options = ("--modes", "dso,harache", "--attacks", ",".join(SOME), "--seed", "3")
    ended = isobench.call("attack", *options, "--out", out)
    assert (ended.code, ended.err) == (0, "")
    assert "attacks stopped, of those that apply" in ended.out
    assert "4 attacks on 2 targets" in ended.out
    rows = ResultsFolder.open(out).table("attacks")
    outcomes = {(row.target, row.attack): row.outcome for row in rows.itertuples()}
    assert len(outcomes) == 8
    assert outcomes["dso", "neighbours_secret"] == "succeeded"
    assert outcomes["harache", "neighbours_secret"] == "blocked"
    controls = dict(zip(rows["attack"], rows["control"], strict=True))
    assert controls["neighbours_secret"] == "dso"
    assert controls["setuid_root"] == "careless"
    assert "security" not in (out / "report.html").read_text().partition("<body>")[0]
    assert 'id="attack-neighbours_secret"' in (out / "report.html").read_text()
    assert isobench.lasting_traces() == []


@needs_root
def test_attacks_join_the_folder_of_a_run_once(isobench: Isobench, tmp_path: Path) -> None:
    out = tmp_path / "results"
    assert isobench.call(*RUN, "--blocks", "1", "--out", out).code == 0
    options = ("--modes", "dso", "--attacks", "neighbours_secret", "--out", out)
    assert isobench.call("attack", *options).code == 0
    folder = ResultsFolder.open(out)
    assert len(folder.trials())
    assert len(folder.table("attacks")) == 1
    assert folder.manifest.also["attack"]["seed"] >= 0
    again = isobench.call("attack", *options)
    assert again.code == 2
    assert "already holds attacks" in again.err


@needs_root
def test_an_interrupted_command_leaves_nothing(isobench: Isobench, tmp_path: Path) -> None:
    with isobench.started(
        "attack", "--modes", "dso,ruid2", "--out", tmp_path / "results"
    ) as process:
        until(lambda: list(isobench.temporary.glob("*/seat-*/*/server.log")))
        process.send_signal(signal.SIGINT)
        ended = isobench.end_of(process)
    assert ended.code == 128 + signal.SIGINT
    assert "Traceback" not in ended.err
    assert isobench.lasting_traces() == []


@needs_root
@pytest.mark.parametrize(
    "options", [("--attacks", "no_such"), ("--modes", "no_such"), ("--modes", "careless")]
)
def test_wrong_names_are_refused(isobench: Isobench, options: tuple[str, str]) -> None:
    ended = isobench.call("attack", *options)
    assert ended.code == 2
    assert ended.err.startswith("error: there is no ")
    assert "Traceback" not in ended.err
