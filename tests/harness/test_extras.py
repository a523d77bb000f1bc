"""Packages that one command alone needs."""

import sys
from pathlib import Path

import pytest

from harness import extras
from harness.errors import IsobenchError
from tests.harness import folders
from tests.harness.live import Say


def test_an_extra_that_is_there_is_loaded() -> None:
    assert extras.load("json", "any", "json").loads("1") == 1


def test_an_extra_that_is_missing_comes_with_the_command_that_installs_it() -> None:
    with pytest.raises(IsobenchError, match="no-such-thing is not installed") as raised:
        extras.load("no_such_thing", "some", "no-such-thing")
    assert "pip install no-such-thing" in raised.value.hint
    assert "pip install '.[some]'" in raised.value.hint


def test_an_extra_that_lacks_something_itself_is_not_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_there.py").write_text("import no_such_thing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_thing"):
        extras.load("half_there", "some", "half-there")


def test_an_export_without_pyperf_says_how_to_get_it(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = folders.write_folder(tmp_path / "run", folders.BASE, blocks=1)
    monkeypatch.setitem(sys.modules, "pyperf", None)  # as if it were not installed
    code, written = say("export", run)
    assert code == 2
    assert written.splitlines()[0] == "error: pyperf is not installed"
    assert "pip install pyperf" in written
