"""What `nox -s bench` runs, as a session that only notes it is told."""

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from nox.command import CommandFailed

from workloads.attacks import every

_NOXFILE = Path(__file__).parents[1] / "noxfile.py"


class Session:
    """Notes commands."""

    def __init__(self, *arguments: str, failing: str = "") -> None:
        self.posargs = [*arguments]
        self.failing = failing
        self.commands: list[list[str]] = []
        self.accepted: list[tuple[int, ...]] = []

    def install(self, *_: str) -> None:
        return

    def warn(self, *_: str) -> None:
        return

    def error(self, reason: str) -> None:
        raise CommandFailed(reason)

    def run(self, *command: str, success_codes: tuple[int, ...] = (0,)) -> None:
        self.commands.append([*command])
        self.accepted.append(success_codes)
        if command[1] == self.failing:
            raise CommandFailed


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
    (folder,) = {command[command.index("--out") + 1] for command in commands}
    assert folder.startswith("results/")


@pytest.mark.parametrize("words", [("--seed", "7"), ("--seed=7",)])
def test_bench_passes_on_what_all_share(words: tuple[str, ...]) -> None:
    run, costs, attack, profile = commands_of_bench("--quick", "--out", "here", *words)
    assert run[:-2] == ["isobench", "run", "--no-report", "--quick", "--out", "here", *words]
    assert costs == ["isobench", "costs", "--out", "here", "--quick", "--seed=7", "--no-report"]
    assert attack[:-3] == ["isobench", "attack", "--out", "here", "--quick", "--seed=7"]
    assert attack[-1] == "--no-report"
    assert profile[:-1] == ["isobench", "profile", "--out", "here", "--quick", "--seed=7"]


def test_a_short_bench_has_intervals_and_leaves_out_what_its_user_has_not_asked_for() -> None:
    run, _, attack, profile = commands_of_bench("--quick", "--out", "here")
    assert run[-2:] == ["--connection=close", "--blocks=3"]
    assert attack[-3].startswith("--attacks=")
    assert attack[-2] == "--modes=dso,harache,router,ruid2"
    assert profile[-1] == "--modes=dso,ruid2,router,harache,cgi"
    *_, profile = commands_of_bench("--quick", "--out", "here", "--modes", "dso,suid2")
    assert profile[-1] == "--modes=dso,suid2"
    run, *_ = commands_of_bench("--quick", "--out", "here", "--connection", "keep-alive")
    assert "--connection=close" not in run
    run, *_ = commands_of_bench("--quick", "--out", "here", "--budget=2m")
    assert run[-1] == "--connection=close"
    run, _, attack, _ = commands_of_bench("--quick", "--resume", "here")
    assert run[-2:] == ["--resume", "here"]
    assert "--attacks" not in " ".join(attack)
    assert "--blocks" not in " ".join(commands_of_bench("--out", "here")[0])


def test_the_attacks_of_a_short_bench_exist_and_are_of_all_families_that_tell() -> None:
    wanted = noxfile().SHORTER["attack"]["--attacks"].split(",")
    known = {one.name: one for one in every()}
    assert set(wanted) <= set(known)
    # The others are about one mode each.
    families = {one.family for one in known.values()} - {"guard", "wrapper"}
    assert {known[name].family for name in wanted} == families


def test_bench_attacks_and_profiles_the_modes_that_it_measures() -> None:
    run, costs, attack, profile = commands_of_bench("--modes", "dso,harache", "--out=here")
    assert run[3:] == ["--modes", "dso,harache", "--out=here"]
    assert "--modes=dso,harache" not in costs
    assert "--modes=dso,harache" in attack
    assert "--modes=dso,harache" in profile


def test_a_long_bench_runs_and_attacks_at_length_and_profiles_last() -> None:
    run, costs, attack, profile = commands_of_bench("--out", "here")
    assert profile == ["isobench", "profile", "--out", "here", "--quick"]
    assert "--quick" in costs
    assert not any("--quick" in command for command in (run, attack))


def test_the_last_command_makes_the_report_of_all() -> None:
    *others, last = commands_of_bench("--out", "here")
    assert all("--no-report" in command for command in others)
    assert "--no-report" not in last


@pytest.mark.parametrize("failing", ["run", "costs", "attack"])
def test_a_bench_that_fails_reports_what_there_is(failing: str) -> None:
    session = Session("--out", "here", failing=failing)
    with pytest.raises(CommandFailed):
        noxfile().bench(session)
    assert session.commands[-2][1] == failing
    assert session.commands[-1] == ["isobench", "report", "here"]


def test_phases_that_do_not_add_up_do_not_fail_the_bench() -> None:
    session = Session("--out", "here")
    noxfile().bench(session)
    assert session.accepted == [(0,), (0,), (0,), (0, 1)]


def test_fuzzing_takes_ten_minutes_unless_told_otherwise() -> None:
    for arguments, options in (((), ["600"]), (("60", "-k", "cut"), ["60", "-k", "cut"])):
        session = Session(*arguments)
        noxfile().fuzz(session)
        assert session.commands == [["pytest", "--fuzz", *options]]


@pytest.mark.parametrize(
    ("failed", "runs"),
    [({}, 1), ({"tests/test_a.py::test_one": True}, 2), ({"gw1": True}, None)],
    ids=("none", "one", "collection"),
)
def test_a_few_failed_tests_are_run_once_more_but_not_all(
    failed: dict[str, bool], runs: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "lastfailed"
    kept.write_text(json.dumps(failed))
    monkeypatch.setattr(noxfile(), "LAST_FAILED", kept)
    session = Session()
    if runs is None:
        with pytest.raises(CommandFailed, match="collected"):
            noxfile()._test(session)
    else:
        noxfile()._test(session)
        assert len(session.commands) == runs
