"""The command `confirm`: what it measures again, in which order, and how it ends."""

import json
import os
import stat
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.commands.reading import confirm, versions
from harness.errors import IsobenchError
from harness.host import fingerprint
from harness.plan.plan import Plan
from harness.results.comparison.confirm import Probe
from harness.results.conditions import Condition
from tests.harness import folders
from tests.harness.live import Say
from tests.harness.plan.test_loads import REPLAY

BOUND = ("--fail-if", "cgi: requests_per_second < -5%")
PLAN = Plan(targets=("dso", "cgi", "harache"), connections=("close",), tenants=3, seed=11)
SLOWER = {"dso": 10_000.0, "cgi": 80.0}


@dataclass
class Runs:
    """Two runs, the second with a slower cgi, and what is measured again instead of servers."""

    base: Path
    new: Path
    again: dict[str, dict[str, float]]
    made: list[tuple[str, list[str]]] = field(default_factory=list)
    commit: str | None = None

    def run(self, version: versions.Version, given: Sequence[str], log: Path) -> None:
        options = dict(zip(given[1::2], given[2::2], strict=False))
        out = Path(options["--out"])
        side = out.name.split("-")[1]
        self.made.append((side, [version.command[0], *given]))
        log.write_text("")
        manifest = replace(folders.NEW, run_id=out.name, commit=self.commit)
        rates = self.again[side]
        folders.write_folder(out, manifest, rates, blocks=2, seed=len(self.made))


@pytest.fixture(name="runs")
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setattr(fingerprint, "fingerprint", lambda: Everything(folders.NEW.machine))
    monkeypatch.setattr(confirm, "_probe", lambda _: Probe(1.0, 0.0))
    plan = PLAN.to_json()
    runs = Runs(
        folders.write_folder(tmp_path / "base", replace(folders.BASE, plan=plan)),
        folders.write_folder(tmp_path / "new", replace(folders.NEW, plan=plan), SLOWER, seed=2),
        {"base": dict(folders.RATES), "new": SLOWER},
    )
    monkeypatch.setattr(versions, "run", runs.run)
    return runs


class Everything(dict[str, object]):
    """The facts of a host, of which those that are not given are none."""

    def __missing__(self, name: str) -> object:
        return None


@pytest.fixture(name="executable")
def _executable(tmp_path: Path) -> Path:
    path = tmp_path / "isobench"
    path.write_text("#!/bin/sh\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_nothing_is_measured_where_nothing_failed(say: Say, runs: Runs) -> None:
    code, written = say("confirm", runs.base, runs.new, "--fail-if", "p99_ms > 900%")
    assert (code, written, runs.made) == (0, "", [])


def test_a_bound_that_does_not_fail_may_still_hold(say: Say, runs: Runs, tmp_path: Path) -> None:
    bound = ("--fail-if", "p99_ms > 900%")
    code, _ = say("confirm", runs.base, runs.new, *bound, "--out", tmp_path / "said.txt")
    assert code == 0
    said = (tmp_path / "said.txt").read_text().splitlines()
    assert "- --fail-if 'p99_ms > 900%', 2 rows. not shown to hold: 2" in said


def test_what_failed_is_measured_again_by_both_versions_in_turn(
    say: Say, runs: Runs, executable: Path
) -> None:
    code, written = say(
        "confirm", runs.base, runs.new, *BOUND, "--base-version", executable, "--rounds", "4"
    )
    assert code == 1
    assert "failed again when it was measured again" in written
    assert [side for side, _ in runs.made] == [*("new", "base", "base", "new") * 2]
    base = next(given for side, given in runs.made if side == "base")
    assert base[:2] == [str(executable), "run"]
    text = " ".join(base)
    assert "--modes dso,cgi --workload hello --load closed:8 --connection close" in text
    assert "--tenants 3" in text


def test_another_version_than_at_first_is_named(
    say: Say, runs: Runs, executable: Path, tmp_path: Path
) -> None:
    runs.commit = "another"
    out = tmp_path / "said"
    say("confirm", runs.base, runs.new, *BOUND, "--base-version", executable, "--out", out)
    said = "was measured by isobench 0.1.0, commit unknown, and again by 0.1.0, commit another"
    assert f"- BASE {said}" in out.read_text()


def test_a_failure_that_does_not_come_again_passes(
    say: Say, runs: Runs, executable: Path, tmp_path: Path
) -> None:
    runs.again["new"] = dict(folders.RATES)
    out = tmp_path / "said"
    code, _ = say(
        "confirm", runs.base, runs.new, *BOUND, "--base-version", executable, "--out", out
    )
    assert code == 0
    said = out.read_text()
    assert said.startswith("isobench: what failed at first is not confirmed\n- not confirmed: ")
    assert "false alarms: unknown on this machine" in said


def test_without_base_new_alone_is_repeated(say: Say, runs: Runs) -> None:
    again = runs.new.with_name("again")
    code, written = say("confirm", runs.base, runs.new, *BOUND, "--rounds", "3", "--runs", again)
    assert code == 1
    assert [side for side, _ in runs.made] == ["new"] * 3
    assert "error: the bound failed again" in written
    found = json.loads((again / "confirm.json").read_text())
    assert [one["verdict"] for one in found["again"]] == ["confirmed"]


def test_an_erratic_host_has_an_exit_code_of_its_own(
    say: Say, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([1.0, 2.0] * 5)
    monkeypatch.setattr(confirm, "_probe", lambda _: Probe(next(times), 0.0))
    code, written = say("confirm", runs.base, runs.new, *BOUND, "--rounds", "3")
    assert code == 3
    assert "too erratic" in written
    assert "2.0 times slower" in written


def test_new_that_differs_from_itself_is_the_hosts_fault(say: Say, runs: Runs) -> None:
    runs.again["new"] = {"dso": 10_000.0, "cgi": 50.0}
    code, written = say("confirm", runs.base, runs.new, *BOUND, "--rounds", "3")
    assert code == 3
    assert "NEW itself, measured again, differs by -3" in written


def test_the_forms_for_a_build_have_verdict_and_rows(
    say: Say, runs: Runs, executable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("# before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    out = tmp_path / "comment.md"
    code, written = say(
        *("confirm", runs.base, runs.new, *BOUND, "--base-version", executable),
        *("--rounds", "3", "--format", "github", "--out", out),
    )
    assert code == 1
    assert f"step summary: {summary}" in written
    lines = out.read_text().splitlines()
    assert lines[0] == "## isobench: a regression is confirmed"
    assert len(lines) <= 60
    assert summary.read_text().startswith("# before\n## isobench: a regression is confirmed")
    assert "### hello, 8 users" in summary.read_text()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ((), "no bound to confirm"),
        (("--fail-if", "speed < 1%"), "unknown metric"),
        ((*BOUND, "--format", "xml"), "unknown format"),
        ((*BOUND, "--base-version", "nowhere"), "neither a checkout"),
        ((*BOUND, "--selftest", "nowhere"), "not a results folder"),
    ],
)
def test_bad_input_is_a_users_mistake(
    say: Say, runs: Runs, wrong: tuple[str, ...], said: str
) -> None:
    code, written = say("confirm", runs.base, runs.new, *wrong)
    assert code == 2
    assert said in written
    assert "\nhint: " in written
    assert runs.made == []


def test_another_machine_confirms_nothing(
    say: Say, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Everything({**folders.NEW.machine, "cpu": "Another CPU"})
    monkeypatch.setattr(fingerprint, "fingerprint", lambda: other)
    code, written = say("confirm", runs.base, runs.new, *BOUND)
    assert code == 2
    assert "NEW was measured on another machine: cpu" in written


def test_a_checkout_is_a_version_and_so_is_an_executable(executable: Path, tmp_path: Path) -> None:
    (tmp_path / "checkout" / "harness").mkdir(parents=True)
    (tmp_path / "checkout" / "harness" / "__main__.py").write_text("")
    found = versions.of_path(tmp_path / "checkout", "--base-version")
    assert found.command[1:] == ("-m", "harness")
    assert found.environment["PYTHONPATH"] == str(tmp_path / "checkout")
    assert versions.of_path(executable, "--base-version").command == (str(executable),)
    assert versions.this().environment["PYTHONPATH"] == str(Path(versions.__file__).parents[3])


def test_a_share_of_a_knee_cannot_be_repeated(tmp_path: Path) -> None:
    condition = Condition("hello", "open:20%", "close", 3, "uniform")
    with pytest.raises(IsobenchError, match="cannot repeat the load"):
        versions.arguments(PLAN, condition, ["dso"], [], 2, 1, tmp_path)


def test_a_log_that_is_not_there_cannot_be_replayed_again(tmp_path: Path) -> None:
    condition = Condition("hello", str(REPLAY), "close", 3, "log")
    with pytest.raises(IsobenchError, match="cannot confirm a run that replayed"):
        versions.arguments(replace(PLAN, loads=(REPLAY,)), condition, ["dso"], [], 2, 1, tmp_path)


def test_a_run_that_fails_is_no_regression(tmp_path: Path) -> None:
    path = tmp_path / "isobench"
    path.write_text("#!/bin/sh\necho 'error: no such mode'\nexit 1\n")
    path.chmod(0o755)
    with pytest.raises(IsobenchError, match="exit code 1: error: no such mode") as error:
        versions.run(versions.of_path(path, "--base-version"), ["run"], tmp_path / "log")
    assert error.value.exit_code == 2


def test_an_interrupted_confirmation_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "isobench"
    path.write_text("#!/bin/sh\nexec sleep 60\n")
    path.chmod(0o755)
    ended: list[int] = []
    wait: Callable[..., int] = subprocess.Popen.wait

    def interrupted(process: object, timeout: float | None = None) -> int:
        if not ended:
            ended.append(0)
            raise KeyboardInterrupt
        ended.append(wait(process, timeout))
        return ended[-1]

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        versions.run(versions.of_path(path, "--base-version"), ["run"], tmp_path / "log")
    assert ended == [0, -15]


def test_arguments_repeat_what_the_plan_says(tmp_path: Path) -> None:
    plan = replace(PLAN, code_cache=False, outstanding=5, slice_s=0.03, client="lean")
    condition = Condition("hello", "open:500:uniform", "keep-alive", 3, "zipf:1")
    given = versions.arguments(plan, condition, ["dso"], ["m.so"], 2, 7, tmp_path)
    text = " ".join(given)
    for part in (
        *("--load open:500:uniform", "--popularity zipf:1", "--slices 30ms", "--module m.so"),
        *("--outstanding 5", "--no-code-cache", "--client lean", "--seed 7", "--no-page"),
    ):
        assert part in text
    assert os.fspath(tmp_path) in text
