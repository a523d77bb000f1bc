"""What the commands have in common: how a run is described, and the folder that it goes to."""

from __future__ import annotations

import ast
import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import harness
from harness.cli import app
from harness.commands.groundwork.folder import (
    Ground,
    Host,
    new_manifest,
    new_run_id,
    open_or_create,
)
from harness.commands.running import run
from harness.errors import Caution
from harness.host.cores import Cores
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest
from harness.target.targets import Refusal, choose

HOST = Host({"cpu": "Example CPU"}, (Caution("noisy", "wait"),))


def test_one_place_says_what_a_new_manifest_holds() -> None:
    package = Path(harness.__file__).parent
    makers = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Manifest"
    }
    assert makers == {"commands/groundwork/folder.py"}


def test_a_new_manifest_says_where_it_stands() -> None:
    dso, cgi = choose(["dso", "cgi"])
    ground = Ground((dso,), (Refusal(cgi, "no", "try"),), Cores((0,), (1,)), HOST)
    manifest = new_manifest(new_run_id(), ground, 7)
    assert (manifest.seed, manifest.plan, manifest.warnings) == (7, {}, HOST.cautions)
    assert [target.name for target in manifest.targets] == ["dso"]
    assert [skipped.target for skipped in manifest.skipped] == ["cgi"]
    assert manifest.cores == {"server": (0,), "generator": (1,)}
    assert new_manifest("x", replace(ground, cores=None), 7).cores == {}


def test_a_folder_is_created_once_and_added_to_later(tmp_path: Path) -> None:
    said = io.StringIO()
    first = new_manifest("first", Ground((), (), None, HOST), 1)
    with open_or_create(tmp_path, first, "later", Console(file=said)) as folder:
        assert folder.manifest == first
    assert said.getvalue() == ""
    other = replace(first, run_id="second", machine={"cpu": "Another CPU"})
    with open_or_create(tmp_path, other, "later", Console(file=said)) as folder:
        folder.note("attack", {"argv": ["isobench", "attack"], "seed": 1})
        assert folder.manifest.run_id == "first"
    assert "the host changed later: cpu" in said.getvalue()
    assert len(ResultsFolder.open(tmp_path).manifest.warnings) == 2


def test_a_manifest_has_every_argument_defaults_included(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Manifest] = []

    def start(*_: object, **_options: object) -> None:
        made.append(new_manifest("x", Ground((), (), None, HOST), 1))

    monkeypatch.setattr(run, "start", start)
    CliRunner().invoke(app, ["run", "--blocks", "3", "--out", "there"], catch_exceptions=False)
    arguments = Manifest.from_json(made[0].to_json()).arguments
    assert arguments["blocks"] == 3
    assert arguments["out"] == "there"
    assert arguments["popularity"] == "uniform"
    assert arguments["modes"] is None
    start()
    assert made[1].arguments == {}
