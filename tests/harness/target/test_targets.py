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
        ("nothing-like-it", "unknown mode 'nothing-like-it'", "known modes: address, cgi"),
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


def test_a_real_product_is_a_target_beside_its_mode() -> None:
    plain, checked = targets.choose(["apache-php", "apache-php:opcache=checked"], peers=True)
    assert (plain.kind, plain.beside, plain.language) == ("peer", "dso", "php")
    assert plain.record.beside == "dso"
    assert plain.in_own_group
    assert checked.options == {"opcache": "checked"}
    command, _ = targets.server_command(plain)
    assert command[-1] == "servers.peer_main"


def test_php_fpm_makes_no_process_that_is_no_worker() -> None:
    fpm, itk = targets.choose(["nginx-fpm", "apache-itk"], peers=True)
    assert (fpm.forks_only_workers, itk.forks_only_workers) == (True, False)


def test_a_command_that_has_no_use_for_real_products_refuses_them() -> None:
    with pytest.raises(IsobenchError, match="apache-php is a real product") as caught:
        targets.choose(["dso", "apache-php"])
    assert caught.value.hint.endswith("isobench run --modes dso,apache-php measures it")


def test_the_peers_of_modes_are_those_that_stand_beside_them() -> None:
    found = {peer.name for peer in targets.peers_beside(["dso", "cgi:spawn=fork"])}
    assert found == {"apache-php", "apache-perl", "apache-cgi", "apache-cgid"}


def test_a_file_that_was_named_goes_to_peers_only() -> None:
    dso, ruid2 = targets.choose(
        ["dso", "apache-ruid2"], peers=True, modules=[Path("/x/mod_ruid2.so")]
    )
    assert dso.modules == ()
    assert ruid2.modules == (Path("/x/mod_ruid2.so"),)


def test_modes_can_run_on_the_interpreter_of_the_products() -> None:
    usual = targets.python()
    try:
        targets.run_on(Path("/usr/bin/python3"))
        assert targets.server_command()[0][0] == "/usr/bin/python3"
    finally:
        targets.run_on(None)
    assert targets.python() == usual
    assert targets.version_of(usual).startswith("3.")
