"""What `nox -s bench` runs, as a session that only notes it is told."""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_NOXFILE = Path(__file__).parents[1] / "noxfile.py"


class Session:
    """Notes commands."""

    def __init__(self, *arguments: str) -> None:
        self.posargs = [*arguments]
        self.commands: list[list[str]] = []
        self.accepted: list[tuple[int, ...]] = []

    def install(self, *_: str) -> None:
        return

    def run(self, *command: str, success_codes: tuple[int, ...] = (0,)) -> None:
        self.commands.append([*command])
        self.accepted.append(success_codes)


@cache
def noxfile() -> Any:
    """Load it, once: nox does not want to hear of a session twice."""
    spec = importlib.util.spec_from_file_location("noxfile", _NOXFILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands_of_bench(*arguments: str) -> list[list[str]]:
    session = Session(*arguments)
    noxfile().bench(session)
    return session.commands


def test_bench_without_arguments_measures_all_into_one_folder() -> None:
    commands = commands_of_bench()
    assert [command[1] for command in commands] == ["run", "costs", "attack", "profile"]
    assert {command[2] for command in commands} == {"--out"}
    (folder,) = {command[3] for command in commands}
    assert folder.startswith("results/")


@pytest.mark.parametrize("words", [("--seed", "7"), ("--seed=7",)])
def test_bench_passes_on_what_all_share(words: tuple[str, ...]) -> None:
    run, costs, attack, profile = commands_of_bench("--quick", "--out", "here", *words)
    assert run == ["isobench", "run", "--quick", "--out", "here", *words]
    assert costs == ["isobench", "costs", "--out", "here", "--quick", "--seed=7"]
    assert attack == ["isobench", "attack", "--out", "here", "--quick", "--seed=7"]
    assert profile == ["isobench", "profile", "--out", "here", "--quick", "--seed=7"]


def test_bench_attacks_and_profiles_the_modes_that_it_measures() -> None:
    run, costs, attack, profile = commands_of_bench("--modes", "dso,harache", "--out=here")
    assert run[2:] == ["--modes", "dso,harache", "--out=here"]
    assert "--modes=dso,harache" not in costs
    assert attack[-1] == profile[-1] == "--modes=dso,harache"


def test_a_long_bench_profiles_shortly_and_last() -> None:
    *others, profile = commands_of_bench("--out", "here")
    assert profile == ["isobench", "profile", "--out", "here", "--quick"]
    assert not any("--quick" in command for command in others)


def test_phases_that_do_not_add_up_do_not_fail_the_bench() -> None:
    session = Session("--out", "here")
    noxfile().bench(session)
    assert session.accepted == [(0,), (0,), (0,), (0, 1)]


def test_fuzzing_takes_ten_minutes_unless_told_otherwise() -> None:
    for arguments, options in (((), ["600"]), (("60", "-k", "cut"), ["60", "-k", "cut"])):
        session = Session(*arguments)
        noxfile().fuzz(session)
        assert session.commands == [["pytest", "--fuzz", *options]]
