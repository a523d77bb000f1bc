"""What there is to measure, by name."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

from harness.errors import IsobenchError
from harness.target import targets


def test_servers_find_their_modules_compiled() -> None:
    targets.server_command()
    package = targets.folder_of("servers") / "servers"
    for source in package.glob("*.py"):
        compiled = Path(importlib.util.cache_from_source(str(source)))
        assert compiled.stat().st_mtime >= source.stat().st_mtime


def test_all_modes_are_there_with_what_reports_say_of_them() -> None:
    found = {target.name: target for target in targets.available()}
    assert {"cgi", "suexec", "dso", "harache", "ruid2"} <= found.keys()
    assert list(found) == sorted(found)
    assert found["dso"].runs_as == "server"
    assert found["ruid2"].runs_as == "owner"
    assert all(target.precedent and target.summary for target in found.values())
    assert all(target.kind == "mode" and not target.options for target in found.values())


def test_a_factor_becomes_part_of_the_name() -> None:
    plain, fork = targets.choose(["cgi", "cgi:spawn=fork", "cgi"])
    assert (plain.name, plain.options) == ("cgi", {})
    assert (fork.name, fork.mode, fork.options) == ("cgi:spawn=fork", "cgi", {"spawn": "fork"})


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("dos", "unknown mode 'dos'", "did you mean dso?"),
        ("ruid", "unknown mode 'ruid'", "did you mean ruid2?"),
        ("nothing-like-it", "unknown mode 'nothing-like-it'", "known modes: cgi"),
        ("cgi:spawn=vfork", "cgi has no factor 'spawn=vfork'", "cgi:spawn="),
        ("cgi:spown=fork", "cgi has no factor 'spown=fork'", "cgi:spawn="),
        ("cgi:", "'cgi:' ends where a factor", "write cgi, or"),
        ("cgi:spawn=fork+", "ends where a factor", "spawn=fork"),
        ("dso:spawn=fork", "dso has no factor 'spawn=fork'", "none"),
    ],
)
def test_names_that_nothing_has(name: str, message: str, hint: str) -> None:
    with pytest.raises(IsobenchError) as caught:
        targets.choose([name])
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_the_servers_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = targets.available()
    monkeypatch.setattr(subprocess, "run", None)
    assert targets.choose([target.name for target in found]) == found


def test_a_server_gets_nothing_of_the_callers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hers")
    _, environment = targets.server_command()
    assert set(environment) == {"PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "LC_ALL"}
