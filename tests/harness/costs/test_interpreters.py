"""Interpreters are found by asking; what only looks like one is left out."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.costs import interpreters
from harness.costs.build import Programs
from harness.costs.interpreters import LANGUAGES, Language, find_pythons
from harness.target.targets import python


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_this_python_is_found_once_whatever_it_is_called(tmp_path: Path) -> None:
    link = tmp_path / "python3"
    link.symlink_to(python())
    (found,) = find_pythons([python(), link, Path(sys.executable)])
    assert found.path == str(python())
    assert found.name == f"CPython {sys.version.split()[0]}"


@pytest.mark.parametrize(
    "text",
    ["#!/bin/sh\necho CPython 3.11.0 /usr/bin/true\n", "no program", ""],
    ids=["a shim", "not executable", "empty"],
)
def test_what_is_no_python_is_left_out(tmp_path: Path, text: str) -> None:
    assert find_pythons([script(tmp_path / "python3", text), tmp_path / "python3.99"]) == []


def test_candidates_are_looked_for_where_they_may_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/nowhere")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    wanted = {
        script(tmp_path / "bin/python3.11", ""),
        script(tmp_path / "pyenv/versions/3.12.1/bin/python3", ""),
    }
    script(tmp_path / "bin/python3.11-config", "")
    script(tmp_path / "bin/python2", "")
    found = {path for path in interpreters.python_candidates() if tmp_path in path.parents}
    assert found == wanted


def test_a_python_is_launched_bare_isolated_and_as_it_comes(tmp_path: Path) -> None:
    (found,) = find_pythons([python()])
    whats = [one.what for one in found.launches(tmp_path)]
    assert whats == ["-I -S", "-I", "no options"]
    for one in found.launches(tmp_path):
        told = subprocess.run(one.command, capture_output=True, check=True).stdout
        assert int(told) > 0


def test_byte_code_is_kept_when_warm_and_never_when_cold(tmp_path: Path) -> None:
    (found,) = find_pythons([python()])
    warm, cold = found.launches_with_imports(tmp_path)
    for one in (warm, cold):
        subprocess.run(one.command, capture_output=True, check=True)
    caches = {path.name for path in tmp_path.iterdir() if list(path.glob("**/*.pyc"))}
    assert caches == {f"byte-code-{found.name}"}
    assert "warm" in warm.what
    assert "cold" in cold.what


def test_what_is_not_installed_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, built: Programs
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(interpreters, "python_candidates", lambda: iter(()))
    launches, missing = interpreters.find(tmp_path, built, byte_code_of_all=False)
    assert {one.name for one in missing} == {language.name for language in LANGUAGES}
    assert {one.name for one in launches} >= {"static C", "dynamic C"}


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_every_language_that_is_here_runs_its_script(language: Language, tmp_path: Path) -> None:
    """Where a language is not installed, the finding of nothing is what is shown."""
    none = Programs(tmp_path, tmp_path, tmp_path, None)
    launches, missing = interpreters.find(tmp_path, none, byte_code_of_all=False)
    own = [one for one in launches if one.name == language.name]
    assert bool(own) != (language.name in {one.name for one in missing})
    for one in own:
        assert subprocess.run(one.command, capture_output=True, check=True).stdout
