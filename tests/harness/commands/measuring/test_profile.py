"""The command `profile`: what it writes and says, and that it leaves nothing behind."""

import json
import os
import signal
from pathlib import Path

import pytest

from harness.profile import tracefs
from harness.profile.phases import SUM_WITHIN
from harness.profile.tracefs import NoTracing
from harness.results.folder import ResultsFolder
from harness.trial.beside.stamping_overhead import SUBJECT
from tests.harness import folders
from tests.harness.live import Isobench, needs_root, until

pytestmark = needs_root

TINY = ("--requests", "12", "--tenants", "2", "--quick", "--seed", "4")


def instances() -> set[str]:
    """Return the instances of tracing that there are on this host."""
    try:
        mount = tracefs.attach()
    except NoTracing:
        return set()
    try:
        return {path.name for path in (tracefs.path_of(mount) / "instances").iterdir()}
    finally:
        os.close(mount)


def own_instances(isobench: Isobench) -> set[str]:
    """Return those of the command that goes on: they are named as its scratch directory."""
    return instances() & {path.name for path in isobench.temporary.iterdir()}


def test_a_new_folder_has_phases_calls_traces_and_a_report_and_is_no_run_to_resume(
    isobench: Isobench, tmp_path: Path
) -> None:
    isobench.drawn = True
    out = tmp_path / "new"
    with isobench.started("profile", "--modes", "harache,cgi", *TINY, "--out", out) as process:
        made = until(lambda: own_instances(isobench)) if _can_trace() else set()
        ended = isobench.end_of(process)
    assert ended.code == 0, ended.err
    assert "harache: " in ended.out
    folder = ResultsFolder.open(out)
    assert folder.manifest.finished_at
    assert folder.manifest.also["profile"]["requests"] == 12
    phases = folder.table("phases")
    assert set(phases["target"]) == {"harache", "cgi"}
    assert phases["median_us"].ge(0).all()
    profiles = folder.table("profiles").set_index("target")
    assert (profiles["accounted"] - 1).abs().le(SUM_WITHIN).all()
    assert profiles["requests"].between(1, 12).all()  # fewer where the time is over
    assert profiles["stamping_cost"].isna().all()
    assert folder.table("calls").groupby("target")["per_request"].sum().gt(5).all()
    for name in ("harache", "cgi"):
        trace = json.loads((out / "traces" / f"{name}.json").read_text())
        assert len([event for event in trace["traceEvents"] if event["ph"] == "X"]) > 12
    page = (out / "report.html").read_text()
    assert "Where the time of a request goes" in page
    assert "No trial has ended" not in page
    assert (out / "figures" / "waterfall.svg").exists()
    assert isobench.lasting_traces() == []
    assert not instances() & made
    resumed = isobench.call("run", "--resume", out)
    assert resumed.code == 2
    assert resumed.err.startswith(f"error: {out} is not the folder of a run")


def test_an_earlier_runs_folder_gets_profiles_besides_and_again(
    isobench: Isobench, tmp_path: Path
) -> None:
    out = folders.write_folder(tmp_path / "run", folders.BASE, blocks=1)
    ended = isobench.call("profile", "--modes", f"{SUBJECT},ruid2", *TINY, "--out", out)
    assert ended.code == 0, ended.err
    assert "stamping costs dso" in ended.out
    again = isobench.call("profile", "--modes", "ruid2", *TINY, "--out", out)
    assert again.code == 0, again.err
    folder = ResultsFolder.open(out)
    assert sorted(folder.table("profiles")["target"]) == ["dso", "ruid2"]
    assert not folder.table("phases").duplicated(["target", "part", "phase"]).any()
    assert {target.name for target in folder.manifest.targets} == {"dso", "ruid2"}
    cost = folder.table("profiles").set_index("target").loc["dso"]
    assert cost["stamping_cost_low"] <= cost["stamping_cost"] <= cost["stamping_cost_high"]
    page = (out / "report.html").read_text()
    assert "Throughput" in page
    assert "Recording timestamps costs <code>dso</code>" in page


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--modes", "nosuch"), "unknown mode 'nosuch'"),
        (("--workload", "nosuch"), "unknown workload 'nosuch'"),
    ],
)
def test_a_mistake_is_explained(isobench: Isobench, arguments: tuple[str, ...], error: str) -> None:
    ended = isobench.call("profile", *arguments)
    assert ended.code == 2
    assert ended.err.startswith(f"error: {error}")
    assert "Traceback" not in ended.err


def test_killed_in_the_middle_it_leaves_no_instance(isobench: Isobench, tmp_path: Path) -> None:
    made: set[str] = set()
    with isobench.started("profile", "--modes", "cgi", *TINY, "--out", tmp_path / "new") as process:
        if _can_trace():
            made = until(lambda: own_instances(isobench))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert isobench.lasting_traces() == []
    until(lambda: not instances() & made)


def _can_trace() -> bool:
    try:
        os.close(tracefs.attach())
    except NoTracing:
        return False
    return True
