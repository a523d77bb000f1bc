"""The command `isobench attack`, from the wish to the folder."""

import signal
from collections.abc import Sequence
from pathlib import Path

import httptools
import pytest

import reports
from harness.attack import attempt
from harness.attack.attempt import Watch
from harness.attack.judgement import Attempt, Outcome
from harness.attack.seats.seat import Seat
from harness.commands.measuring import attack as attack_run
from harness.commands.signals import Interrupted
from harness.errors import IsobenchError
from harness.results.folder import ResultsFolder
from harness.target.targets import Target
from servers import peers
from servers.errors import Unavailable
from tests.harness import folders
from tests.harness.faulty import made_of
from tests.harness.live import ROOT, Isobench, needs_root, until
from tests.servers.live import where_readable
from workloads.attacks import Attack, load
from workloads.attacks.scene import Scene

pytestmark = pytest.mark.usefixtures("undrawn")

SOME = ("neighbours_secret", "setuid_root", "kill_sibling", "patched_open")


def test_names_and_families_select() -> None:
    selected = attack_run.select(["neighbours_secret", "guard"])
    assert {one.family for one in selected} == {"reading", "guard"}
    assert len([one for one in selected if one.family == "reading"]) == 1


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(IsobenchError) as caught:
        attack_run.select(["neighbours_secrets"])
    assert caught.value.hint == "did you mean neighbours_secret?"


@needs_root
def test_attacks_are_written_down_with_their_evidence(isobench: Isobench, tmp_path: Path) -> None:
    out = tmp_path / "results"
    options = ("--modes", "dso,harache", "--attacks", ",".join(SOME), "--seed", "3")
    ended = isobench.call("attack", *options, "--out", out)
    assert (ended.code, ended.err) == (0, "")
    assert "attacks stopped, of those that apply" in ended.out
    assert "4 attacks on 2 targets" in ended.out
    rows = ResultsFolder.open(out).table("attacks")
    outcomes = {(row.target, row.attack): row.outcome for row in rows.itertuples()}
    assert len(outcomes) == 8
    assert outcomes["dso", "neighbours_secret"] == "succeeded"
    assert outcomes["harache", "neighbours_secret"] == "blocked"
    controls = dict(zip(rows["attack"], rows["control"], strict=True))
    assert controls["neighbours_secret"] == "dso"
    assert controls["setuid_root"] == "careless"
    assert "security" not in (out / "report.html").read_text().partition("<body>")[0]
    assert 'id="attack-neighbours_secret"' in (out / "report.html").read_text()
    assert isobench.lasting_traces() == []


@needs_root
def test_attacks_join_the_folder_of_a_run_once(isobench: Isobench, tmp_path: Path) -> None:
    out = folders.write_folder(tmp_path / "results", folders.BASE, blocks=1)
    options = ("--modes", "dso", "--attacks", "neighbours_secret", "--out", out)
    assert isobench.call("attack", *options).code == 0
    folder = ResultsFolder.open(out)
    assert len(folder.trials())
    assert len(folder.table("attacks")) == 1
    assert folder.manifest.also["attack"]["seed"] >= 0
    again = isobench.call("attack", *options)
    assert again.code == 2
    assert "already has attacks" in again.err


@needs_root
def test_an_interrupted_command_leaves_nothing(isobench: Isobench, tmp_path: Path) -> None:
    with isobench.started(
        "attack", "--modes", "dso,ruid2", "--out", tmp_path / "results"
    ) as process:
        until(lambda: list(isobench.temporary.glob("*/seat-*/*/server.log")))
        process.send_signal(signal.SIGINT)
        ended = isobench.end_of(process)
    assert ended.code == 128 + signal.SIGINT
    assert "Traceback" not in ended.err
    assert "attacks are saved; continue with: isobench attack --resume" in ended.out
    assert isobench.lasting_traces() == []


@needs_root
def test_what_was_interrupted_is_kept_and_continued(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    names = ("neighbours_secret", "neighbours_listing")

    def interrupted(
        _: Seat, target: Target, order: Sequence[Attack], watch: Watch, *_lost: list[str]
    ) -> None:
        watch(Attempt(target.name, order[0], Outcome.SUCCEEDED, "seen", 0.1))
        raise Interrupted(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(attempt, "attack_all", interrupted)
        with pytest.raises(Interrupted):
            attack_run.start(("dso",), True, names, 1, out)
    said = capsys.readouterr().out
    assert f"1 of 2 attacks are saved; continue with: isobench attack --resume {out}" in said
    before = ResultsFolder.open(out)
    assert list(before.table("attacks")["evidence"]) == ["seen"]
    assert "Not all attacks have been run" in reports.make(out).read_text()
    with pytest.raises(IsobenchError, match="interrupted attacks"):
        attack_run.start(("dso",), True, names, 1, out)
    attack_run.resume(out)
    after = ResultsFolder.open(out)
    assert sorted(after.table("attacks")["attack"]) == sorted(names)
    assert "seen" in set(after.table("attacks")["evidence"])
    # The control of the other may be made beside it, and be first.
    controls = after.table("attacks").set_index("evidence")["control"]
    assert controls["seen"] == "dso"
    assert set(controls) <= {"dso", "careless"}
    assert after.manifest.finished_at is not None
    with pytest.raises(IsobenchError, match="has no interrupted attacks"):
        attack_run.resume(out)


@needs_root
def test_controls_are_kept_too_and_a_resumed_command_says_what_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    names = ("setuid_root", "kill_master")
    made: list[str] = []

    def refused(
        _: Seat, target: Target, order: Sequence[Attack], watch: Watch, *_lost: list[str]
    ) -> None:
        for one in order:
            watch(Attempt(target.name, one, Outcome.BLOCKED, "refused", 0.1))

    def control(_: Seat, one: Attack, language: str) -> Attempt:
        made.append(one.name)
        if len(made) == 2:
            raise Interrupted(signal.SIGINT)
        return Attempt("careless", one, Outcome.SUCCEEDED, "", 0.1, language)

    monkeypatch.setattr(attempt, "attack_all", refused)
    monkeypatch.setattr(attempt, "control", control)
    with pytest.raises(Interrupted):
        attack_run.start(("dso",), True, names, 1, out, jobs=1)
    monkeypatch.setattr(attempt, "attack_all", None)  # no more of these
    monkeypatch.setattr(attack_run, "runnable", None)
    capsys.readouterr()
    attack_run.resume(out)
    said = capsys.readouterr().out
    assert said.startswith("2 of 2 attacks are saved already; at most 1 controls are left")
    assert made[2:] == made[1:2]
    assert set(ResultsFolder.open(out).table("attacks")["control"]) == {"careless"}


def boom(scene: Scene) -> str | None:
    raise ZeroDivisionError("[red]oops[/x]")


def attacked(
    monkeypatch: pytest.MonkeyPatch, out: Path, *chosen: Attack, modes: tuple[str, ...] = ("dso",)
) -> None:
    monkeypatch.setattr(attack_run, "select", lambda _: chosen)
    attack_run.start(modes, True, (), 1, out)


@needs_root
def test_a_broken_attack_is_named_and_the_others_are_written_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    broken = made_of(tmp_path, "pass", "broken", proof=boom)
    with pytest.raises(IsobenchError, match="1 of 2 attempts gave no result: broken") as caught:
        attacked(monkeypatch, out, broken, load("neighbours_secret"))
    assert caught.value.exit_code == 1
    shown = capsys.readouterr().out
    assert "1 succeeded, 1 error" in shown
    assert "no result of broken on dso: it could not be judged: ZeroDivisionError" in shown
    assert "[red]oops[/x]" in shown
    rows = ResultsFolder.open(out).table("attacks").set_index("attack")
    assert dict(rows["outcome"]) == {"broken": "error", "neighbours_secret": "succeeded"}
    assert "No result of broken on dso" in (out / "report.html").read_text()
    assert "[red]oops[/x]" in (out / "report.html").read_text()


@needs_root
def test_an_attack_that_succeeds_nowhere_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    idle = made_of(tmp_path, "pass", "idle")
    with pytest.raises(IsobenchError, match="proves nothing: idle") as caught:
        attacked(monkeypatch, tmp_path / "results", idle)
    assert caught.value.exit_code == 1
    assert "idle (on careless: the script finished" in " ".join(capsys.readouterr().out.split())


@needs_root
def test_without_pid_namespaces_what_leaves_something_behind_is_not_made(
    tmp_path: Path,
) -> None:
    without = where_readable("setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin")
    # pytest closes its directories, and a server that may not mount cannot open them.
    packages = Path(httptools.__file__).parents[1]
    places = {"PYTHONPATH": f"{ROOT}:{packages}", "TMPDIR": "/dev/shm"}
    isobench = Isobench(tmp_path, without, places)
    out = tmp_path / "results"
    options = ("--modes", "dso,harache", "--attacks", "neighbours_secret,kill_master", "--out", out)
    ended = isobench.call("attack", *options)
    assert (ended.code, ended.err) == (0, "")
    said = " ".join(ended.out.split())
    assert "1 blocked, 1 succeeded, 2 not-applicable" in said
    assert "1 of 2 attacks were not run: this host allows no pid namespaces" in said
    rows = ResultsFolder.open(out).table("attacks")
    unmade = rows[rows["attack"] == "kill_master"]["evidence"]
    assert unmade.str.contains("no pid namespaces").all()


@needs_root
@pytest.mark.parametrize(
    "options", [("--attacks", "no_such"), ("--modes", "no_such"), ("--modes", "careless")]
)
def test_wrong_names_are_refused(isobench: Isobench, options: tuple[str, str]) -> None:
    ended = isobench.call("attack", *options)
    assert ended.code == 2
    assert ended.err.startswith("error: unknown ")
    assert "Traceback" not in ended.err


@needs_root
def test_products_are_attacked_beside_the_mode_that_re_enacts_them(
    isobench: Isobench, tmp_path: Path
) -> None:
    try:
        peers.load("apache-itk").check()
    except Unavailable as missing:
        pytest.skip(f"{missing.reason}: {missing.hint}")
    out = tmp_path / "results"
    options = ("--peers", "--modes", "harache", "--attacks", "include_neighbours_file")
    ended = isobench.call("attack", *options, "--out", out)
    assert (ended.code, ended.err) == (0, "")
    assert "products beside modes" in ended.out
    rows = ResultsFolder.open(out).table("attacks").set_index("target")
    assert rows["outcome"].to_dict() == {
        "harache": "blocked",
        "apache-itk": "succeeded",
        "apache-itk:opcache=checked": "blocked",
    }
    assert rows["language"]["apache-itk"] == "php"
    assert rows["beside"]["apache-itk"] == "harache"
    report = (out / "report.html").read_text()
    assert "Only harache stopped include_neighbours_file." in report
    assert isobench.lasting_traces() == []
