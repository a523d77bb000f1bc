"""What a command adds to a folder: made once, resumed if it was interrupted, never overwritten."""

import io
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from harness.commands.groundwork.addition import Addition
from harness.commands.groundwork.folder import Ground, Host, new_manifest
from harness.errors import IsobenchError
from harness.results.folder import ResultsFolder
from harness.results.rows import AttackRow

ATTACKS = Addition("attack", ("attacks",), "attacks", resumable=True)
ROW = AttackRow(target="dso", attack="example", outcome="blocked", evidence="")


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    manifest = new_manifest("x", Ground((), (), None, Host({}, ())), 1)
    return ResultsFolder.create(tmp_path / "results", manifest)


def test_a_folder_without_its_tables_has_room(folder: ResultsFolder, tmp_path: Path) -> None:
    ATTACKS.must_have_room(tmp_path / "new")
    ATTACKS.must_have_room(folder.path)


def test_what_is_there_is_not_overwritten(folder: ResultsFolder) -> None:
    folder.append_table("attacks", [asdict(ROW)])
    with pytest.raises(IsobenchError, match="already has attacks, which are never overwritten"):
        ATTACKS.must_have_room(folder.path)


def test_what_was_interrupted_is_resumed_once(folder: ResultsFolder) -> None:
    with pytest.raises(IsobenchError, match="has no interrupted attacks"):
        ATTACKS.interrupted(folder)
    folder.note("attack", {"argv": [], "seed": 1, "finished_at": None})
    with pytest.raises(IsobenchError, match="has interrupted attacks") as caught:
        ATTACKS.must_have_room(folder.path)
    assert caught.value.hint == f"continue them: isobench attack --resume {folder.path}"
    assert ATTACKS.interrupted(folder)["seed"] == 1
    ATTACKS.finish(folder)
    with pytest.raises(IsobenchError, match="has no interrupted attacks"):
        ATTACKS.interrupted(folder)


def test_a_folder_that_was_made_for_it_is_finished_with_it(folder: ResultsFolder) -> None:
    folder.note("attack", {"argv": [], "seed": 1, "finished_at": None})
    ATTACKS.finish(folder)
    assert folder.manifest.finished_at is not None
    assert folder.manifest.also["attack"]["finished_at"] is not None


def test_work_that_is_done_is_finished(folder: ResultsFolder) -> None:
    folder.note("attack", {"finished_at": None})
    said = io.StringIO()
    with ATTACKS.under_way(folder, Console(file=said)):
        pass
    assert folder.manifest.also["attack"]["finished_at"] is not None
    assert said.getvalue() == ""


def test_work_that_is_broken_off_can_be_continued_and_says_how(folder: ResultsFolder) -> None:
    folder.note("slo", {"finished_at": None})
    searches = Addition("slo", ("slo",), "searches", resumable=True, typed="run")
    said = io.StringIO()
    with pytest.raises(KeyboardInterrupt), searches.under_way(folder, Console(file=said)):
        raise KeyboardInterrupt
    assert said.getvalue() == f"stopped: continue with: isobench run --resume {folder.path}\n"
    assert searches.interrupted(folder) == {"finished_at": None}
