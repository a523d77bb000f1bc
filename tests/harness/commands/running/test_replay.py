"""A run as a bundle, and repeated from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import reports
from harness.commands.running import replay, traffic
from harness.errors import IsobenchError
from harness.plan.plan import Plan
from harness.results import bundle
from harness.results.folder import ResultsFolder
from harness.terminal import Terminal
from tests.harness import folders
from tests.harness.live import Say
from tests.harness.plan.test_loads import REPLAY
from workloads.access_log.trace import Trace


@pytest.fixture(name="archive")
def _archive(tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the bundle of a run that had a plan."""
    monkeypatch.setattr(reports, "make", lambda folder, *_, **__: folder / "report.html")
    plan = Plan(targets=("dso", "cgi"), connections=("close",), seed=11, page_pace=5).to_json()
    folder = folders.write_folder(tmp_path / "run", replace(folders.BASE, plan=plan), blocks=2)
    out = tmp_path / "run.tar.gz"
    assert say("bundle", folder, "--out", out) == (0, "")
    return out


def test_the_run_is_repeated_by_its_plan_and_set_beside_the_original(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Plan, Path]] = []
    elsewhere = replace(folders.NEW, machine={"cpu": "Another CPU"})

    def run(plan: Plan, _chosen: bool, path: Path, *_: object, **__: object) -> None:
        made.append((plan, path))
        folders.write_folder(path, elsewhere, blocks=2, seed=2)

    compared: list[tuple[object, ...]] = []

    def make(*places: Path, **how: bool) -> Path:
        compared.append((*places, how))
        return places[0]

    monkeypatch.setattr("harness.commands.running.run.start", run)
    monkeypatch.setattr(reports, "make", make)
    new = tmp_path / "new"
    replay.start(archive, new, Terminal())
    ((plan, path),) = made
    assert (plan.targets, plan.seed, plan.page_pace, path) == (("dso", "cgi"), 11, None, new)
    original = tmp_path / "new-original"
    assert ResultsFolder.open(original).manifest.run_id == "before"
    assert compared == [(new, original, {"force": True})]


def test_a_folder_that_is_not_free_is_left_alone(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(IsobenchError):
        replay.start(archive, tmp_path / "run", Terminal())
    assert not (tmp_path / "run-original").exists()


def test_what_was_no_run_cannot_be_repeated(tmp_path: Path) -> None:
    folder = folders.write_folder(tmp_path / "costs", replace(folders.BASE, plan={}), blocks=1)
    archive = tmp_path / "b.tar.gz"
    archive.write_bytes(bundle.pack(ResultsFolder.open(folder)))
    with pytest.raises(IsobenchError, match="holds no run"):
        replay.start(archive, tmp_path / "new", Terminal())


def test_what_is_no_bundle_is_a_users_mistake(say: Say, tmp_path: Path) -> None:
    code, written = say("replay", tmp_path / "nothing.tar.gz", "--out", tmp_path / "new")
    assert code == 2
    assert written.startswith("error: cannot read ")
    assert "\nhint: " in written


def test_a_replayed_log_is_taken_from_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = np.arange(5)
    log = Trace.of(seconds, seconds, np.zeros_like(seconds))
    load = replace(REPLAY, trace=log.sha256)
    plan = Plan(targets=("dso",), loads=(load,), popularity="log").to_json()
    folder = folders.write_folder(tmp_path / "run", replace(folders.BASE, plan=plan), blocks=1)
    (folder / traffic.FILE).write_bytes(log.to_bytes())
    archive = tmp_path / "run.tar.gz"
    archive.write_bytes(bundle.pack(ResultsFolder.open(folder)))
    given: list[str] = []

    def run(plan: Plan, *_: object, trace: Trace, **__: object) -> None:
        assert plan.replay == load
        given.append(trace.sha256)

    monkeypatch.setattr("harness.commands.running.run.start", run)
    monkeypatch.setattr(replay, "beside", lambda *_: None)
    replay.start(archive, tmp_path / "new", Terminal())
    assert given == [log.sha256]
