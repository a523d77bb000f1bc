"""A whole run as a user starts it, and the folder that it leaves."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from harness.commands.running import run
from harness.errors import IsobenchError
from harness.plan.plan import Plan
from harness.results.folder import ResultsFolder
from harness.results.manifest import Target
from harness.trial import runner
from tests.harness.bench import Bench
from tests.harness.live import MANIFEST, Ended, Isobench, first_attempts, needs_root, trials_in
from tests.harness.trial.test_runner import Watcher

# As DESIGN promises them to other people's tools, in this order; more may follow.
COLUMNS = (
    "target,kind,runs_as,workload,load,connection,trials,requests_per_second,"
    "requests_per_second_low,requests_per_second_high,ratio_to_dso,ratio_to_dso_low,"
    "ratio_to_dso_high,p50_ms,p90_ms,p99_ms,p99_ms_low,p99_ms_high,server_cpu_us_per_request,"
    "capacity_per_core,memory_mib,forks_per_request,errors,verdict"
)


@dataclass(frozen=True)
class Whole:
    """A run that has ended well."""

    isobench: Isobench
    folder: Path
    ended: Ended

    @property
    def manifest(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        return content


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    directory = tmp_path_factory.mktemp("whole")
    isobench = Isobench(directory, drawn=True, fresh=True)
    folder = directory / "results"
    short = ("--quick", "--blocks", "2", "--seconds", "0.4")
    arguments = (*short, "--modes", "dso,ruid2", "--seed", "11", "--out", folder)
    ended = isobench.call("run", *arguments)
    isobench.drawn = isobench.fresh = False  # what follows is not about that
    return Whole(isobench, folder, ended)


@needs_root
def test_it_ends_well_and_leaves_nothing(whole: Whole) -> None:
    assert whole.ended.code == 0, whole.ended.err
    assert whole.ended.err == ""
    assert f"report: {whole.folder}/report.html" in whole.ended.out
    assert whole.isobench.lasting_traces() == []


@needs_root
def test_its_folder_has_what_readers_expect(whole: Whole) -> None:
    names = {path.name for path in whole.folder.iterdir()}
    assert names == {
        "run.json",
        "trials.parquet",
        "latency.parquet",
        "summary.csv",
        "summary.md",
        "report.html",
        "figures",
    }
    assert "dso" in (whole.folder / "report.html").read_text()


@needs_root
def test_its_summary_has_the_promised_columns(whole: Whole) -> None:
    assert (whole.folder / "summary.csv").read_text().startswith(COLUMNS)
    summary = pd.read_csv(whole.folder / "summary.csv")
    assert sorted(zip(summary["target"], summary["connection"], strict=True)) == [
        ("dso", "close"),
        ("dso", "keep-alive"),
        ("ruid2", "close"),
        ("ruid2", "keep-alive"),
    ]
    assert (summary["trials"] >= 1).all()
    assert (summary["checked"] == summary["trials"]).all()
    assert (summary["failed_checks"] == 0).all()
    assert (summary["errors"] == 0).all()
    assert (summary["requests_per_second"] > 0).all()
    assert (summary["server_cpu_us_per_request"] > 0).all()
    assert not summary["verdict"].str.startswith("void").any()


@needs_root
def test_its_trials_are_all_there_and_all_right(whole: Whole) -> None:
    folder = ResultsFolder.open(whole.folder)
    trials = folder.trials()
    plan = Plan.from_json(folder.manifest.plan)
    assert first_attempts(trials["trial"]) == [spec.trial for spec in plan.trials()]
    assert (trials["verdict"] == "ok").all()
    shown = trials[trials["kind"] == "mode"]
    assert dict(zip(shown["target"], shown["runs_as"], strict=True)) == {
        "dso": "server",
        "ruid2": "owner",
    }
    assert folder.latency()["count"].tolist() == trials["requests"].tolist()


@needs_root
def test_its_manifest_says_how_to_do_it_again(whole: Whole) -> None:
    manifest = whole.manifest
    assert manifest["seed"] == 11
    assert manifest["plan"]["targets"] == ["dso", "ruid2"]
    assert manifest["argv"][:3] == ["isobench", "run", "--quick"]
    assert manifest["finished_at"] >= manifest["started_at"]
    assert {"locust", "gevent", "httptools"} <= manifest["versions"].keys()
    cores = set(manifest["cores"]["server"] + manifest["cores"]["generator"])
    usable = manifest["machine"]["usable_processors"]
    assert cores <= set(usable)
    about = [warning["about"] for warning in manifest["warnings"]]
    assert any("one processor" in text for text in about) == (len(usable) == 1)


@needs_root
def test_resuming_a_finished_run_measures_nothing(whole: Whole) -> None:
    before = trials_in(whole.folder)
    again = whole.isobench.call("run", "--resume", whole.folder)
    assert again.code == 0, again.err
    assert "This run is complete: there is nothing left to measure." in again.out
    assert trials_in(whole.folder) == before


@needs_root
def test_results_are_never_overwritten(whole: Whole) -> None:
    before = (whole.folder / "run.json").read_bytes()
    refused = whole.isobench.call("run", "--modes", "dso", "--out", whole.folder)
    assert refused.code == 2
    assert "already holds results" in refused.err
    assert f"to continue an interrupted run: isobench run --resume {whole.folder}" in refused.err
    assert (whole.folder / "run.json").read_bytes() == before
    assert whole.isobench.lasting_traces() == []


@needs_root
def test_the_report_can_be_made_again(whole: Whole) -> None:
    page = whole.folder / "report.html"
    page.unlink()
    assert whole.isobench.call("report", whole.folder).code == 0
    assert page.exists()


def made(path: Path, void: str = "") -> Plan:
    """Write a folder of a run that was killed between its last trial and its end."""
    plan = Plan(targets=("cgi", "dso"), blocks=3)
    members = {name: Target(name, "mode", "precedent", "server", "what") for name in plan.targets}
    content = {**vars(MANIFEST), "plan": plan.to_json(), "targets": tuple(members.values())}
    with ResultsFolder.create(path, type(MANIFEST)(**content)) as folder:
        runner.carry_out(plan, Bench(void=void), folder, Watcher())
    return plan


@pytest.mark.usefixtures("undrawn")
def test_a_run_killed_just_before_its_end_is_ended_by_resume(tmp_path: Path) -> None:
    made(tmp_path / "out")
    run.resume(tmp_path / "out", Console(quiet=True))
    assert ResultsFolder.open(tmp_path / "out").manifest.finished_at is not None
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.usefixtures("undrawn")
def test_void_trials_are_reported_and_fail_the_command(tmp_path: Path) -> None:
    made(tmp_path / "out", void="cgi")
    with pytest.raises(IsobenchError, match=r"void trials: 6; .*it lied") as caught:
        run.resume(tmp_path / "out", Console(quiet=True))
    assert caught.value.exit_code == 1
    assert "first_error" in caught.value.hint


@needs_root
def test_a_sweep_keeps_its_knees_for_a_resume(isobench: Isobench, tmp_path: Path) -> None:
    isobench.drawn = True
    folder = tmp_path / "results"
    arguments = ("--modes", "dso", "--load", "sweep", "--connection", "keep-alive")
    short = ("--workers", "2", "--tenants", "2", "--blocks", "1", "--seconds", "0.2")
    ended = isobench.call("run", *arguments, *short, "--seed", "4", "--out", folder)
    assert ended.code == 0, ended.err
    results = ResultsFolder.open(folder)
    plan = Plan.from_json(results.manifest.plan)
    assert [knee.target for knee in plan.knees] == ["null", "dso"]
    assert all(knee.rate > 0 for knee in plan.knees)
    assert {"open:20%", "open:50%", "open:80%", "open:95%"} == set(results.trials()["load"])
    assert results.trials()["offered_per_second"].gt(0).all()
    assert (folder / "figures" / "sweep.svg").exists()
    isobench.drawn = False
    again = isobench.call("run", "--resume", folder)
    assert "This run is complete: there is nothing left to measure." in again.out, again.err
    assert isobench.lasting_traces() == []
