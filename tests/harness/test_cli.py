"""What users get wrong: each time a reason, a remedy and exit code 2, never a traceback."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.commands.groundwork.folder import Host
from harness.commands.running import run
from harness.plan.extent import QUICK, USUAL
from harness.plan.interleaving import SHORTEST_S
from harness.plan.plan import Plan
from harness.plan.stopping import MOST_BLOCKS
from harness.results.folder import ResultsFolder
from tests.harness.live import BLOCKS, MANIFEST, ROOT, RUN, Isobench, Say, needs_root, trials_in

# In a mount namespace of its own, so that the host does not see the small disk; `$0` is where.
SMALL = 'mount -t tmpfs -o size=4k none "$0" && "$@"; code=$?; ls -A "$0/out"; exit $code'
FILLS_UP = """
mount -t tmpfs -o size=128k none "$0" || exit
(until [ -e "$0/results/trials.parquet" ]; do sleep 0.02; done; cat /dev/zero >"$0/filler") &
"$@"
code=$?
kill $! || true
cp -r "$0/results" "$0/.."
exit $code
"""


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        ("run --modes dos", "unknown mode 'dos'", "did you mean dso?"),
        ("run --modes cgi:spawn=vfork", "cgi has no factor 'spawn=vfork'", "it has cgi:spawn="),
        ("run --modes ,", "no targets are chosen", "name at least one, or omit the option"),
        ("run --workload helo", "unknown workload 'helo'", "did you mean hello?"),
        ("run --workload wiki", "unknown workload 'wiki'", "known workloads: hello"),
        ("run --modes DSO", "unknown mode 'DSO'", "did you mean dso?"),
        ("run --workload page:5", "the CPU time in 'page:5' is missing", "write it like page:"),
        ("run --client curl", "unknown client 'curl'", "choose one of compiled, lean, fasthttp"),
        ("run --load half", "'half' is not a load", "write closed:N"),
        ("run --load open:5:daily", "unknown schedule 'daily'", "poisson, uniform"),
        ("run --load open:0", "0 requests a second cannot be offered", "from 0.001"),
        ("run --load open:5 --outstanding 0", "must be a number above 0", "omit --"),
        ("run --load open:5 --client fasthttp", "cannot send at intended times", "--client lean"),
        ("run --load closed:-1", "'closed:-1' is not a load", "write closed:N"),
        ("run --load=", "no loads are chosen", "name at least one, or omit the option"),
        ("run --load closed:9 --workers 8", "9 users starve on 8 workers", "--workers 9"),
        ("run --connection reuse", "unknown connection handling 'reuse'", "close, keep-alive"),
        ("run --popularity zapf", "zapf", "zipf"),
        ("run --blocks -1", "must be a number above 0", "omit --"),
        ("run --precision 3", "'3' is not a percentage", "--precision 3%"),
        ("run --budget 10", "--budget '10' is not a time", "--budget 20ms, 90s, 10m or 1.5h"),
        ("run --smallest-effect none", "'none' is not a percentage", "--smallest-effect 3%"),
        ("run --load open:5 --precision 3%", "an open load's rate is given", "closed:8"),
        ("run --seconds nan", "must be a number above 0", "omit --"),
        ("run --tenants 0", "must be a number above 0", "omit --"),
        ("run --modes cgi:", "ends where a factor should follow", "write cgi"),
        ("run --workers 0 --connection close", "must be a number above 0", "omit --"),
        ("run --resume /nowhere", "/nowhere is not a results folder", "name the folder"),
        ("report /nowhere", "/nowhere is not a results folder", "name the folder"),
        ("serve dos", "unknown mode 'dos'", "did you mean dso?"),
        ("compare /nowhere /nowhere", "/nowhere is not a results folder", "name the folder"),
        ("compare a b --fail-if p99_ms>10", "'p99_ms>10' cannot be read", "write METRIC"),
        ("compare a b --fail-if p50<1%", "names an unknown metric", "p50_ms"),
        ("compare a b --metric speed", "'speed' is not a metric", "requests_per_second"),
        ("compare a b --metric ,", "no metric is chosen", "requests_per_second"),
        ("compare a b --format html", "unknown format 'html'", "table, markdown, csv, junit"),
        ("compare a b --smallest-effect 3", "'3' is not a percentage", "--smallest-effect 3%"),
        ("export /nowhere", "/nowhere is not a results folder", "name the folder"),
        ("export /nowhere --format csv", "cannot export to the format 'csv'", "choose pyperf"),
        ("doctor --modes dos", "unknown mode 'dos'", "did you mean dso?"),
        ("run --replay /nowhere/log", "cannot read /nowhere/log: No such file", "combined format"),
        ("run --replay x --load open:5", "--load cannot be used with --replay", "omit --load"),
        (
            "run --replay x --popularity zipf:1",
            "--popularity cannot be used with",
            "omit --popularity",
        ),
        (
            "run --replay x --workload hello,sqlite",
            "--workload takes one workload",
            "--map '/shop/",
        ),
        ("run --replay x --map /a", "'/a' is not a rule of --map", "PATTERN=WORKLOAD"),
        ("run --replay x --map /a=shop", "unknown workload 'shop'", "known workloads: hello"),
        ("run --replay x --replay-speed fast", "'fast' is not a speed", "200/s"),
        ("run --replay x --replay-speed 0", "'0' is not a speed", "200/s"),
        ("run --replay x --tenants 0", "tenants must be a number above 0", "omit --tenants"),
        ("run --replay x --seconds 0", "seconds must be a number above 0", "omit --seconds"),
        ("run --replay x --replay-tenants user", "--replay-tenants 'user'", "host, path, one"),
        ("run --map /a=hello", "--map needs an access log", "--replay FILE"),
        ("run --slo p99<50ms --map /a=hello", "--map needs an access log", "--replay FILE"),
        ("run --replay-speed 60", "--replay-speed needs an access log", "--replay FILE"),
    ],
)
def test_wrong_words(say: Say, arguments: str, error: str, hint: str) -> None:
    code, written = say(*arguments.split())
    first, second = written.splitlines()
    assert code == 2
    assert first.startswith("error: ")
    assert error in first
    assert second.startswith("hint: ")
    assert hint in second


@pytest.mark.parametrize(
    "arguments",
    [
        "run --blokcs 3",
        "run --blocks three",
        "run --seed -4",
        "rum",
        "serve",
        "serve dso --port 70000",
    ],
)
def test_what_is_no_command_at_all(say: Say, arguments: str) -> None:
    code, written = say(*arguments.split())
    assert code == 2
    assert "--help" in written


@pytest.mark.parametrize(
    ("arguments", "seconds", "blocks"),
    [
        ("", USUAL.seconds, MOST_BLOCKS),
        ("--quick", QUICK.seconds, MOST_BLOCKS),
        ("--slices off", USUAL.alone_seconds, USUAL.blocks),
        ("--quick --seconds 0.7 --blocks 4", 0.7, 4),
    ],
)
def test_what_is_said_counts_more_than_quick(
    say: Say, monkeypatch: pytest.MonkeyPatch, arguments: str, seconds: float, blocks: int
) -> None:
    plans: list[Plan] = []
    monkeypatch.setattr(run, "start", lambda plan, *_, **__: plans.append(plan))
    assert say("run", "--modes", "dso", *arguments.split()) == (0, "")
    assert [(plan.seconds, plan.blocks) for plan in plans] == [(seconds, blocks)]


def test_the_documentation_names_the_lengths_of_today() -> None:
    page = " ".join((ROOT / "docs" / "measuring.md").read_text().split())
    assert f"slices of {1000 * SHORTEST_S:g} ms or longer" in page
    assert f"{USUAL.seconds:g} s in all for each target of a block (`--seconds`)" in page
    assert f"within ±{100 * USUAL.precision:g}%" in page
    assert f"budget of {USUAL.budget_s:g} s for each condition" in page
    assert (
        f"`--quick` ({QUICK.seconds:g} s for each target of a block, ±{100 * QUICK.precision:g}%, "
        f"{QUICK.budget_s:g} s for each condition)" in page
    )


def test_a_folder_that_another_run_writes_to(say: Say, tmp_path: Path) -> None:
    with ResultsFolder.create(tmp_path / "out", MANIFEST):
        code, written = say("run", "--resume", tmp_path / "out")
    assert code == 2
    assert written.startswith(f"error: another isobench is writing to {tmp_path / 'out'}\nhint: ")


def test_a_thread_that_cannot_be_made(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(cli, "app", refuse)
    code, written = say("doctor")
    assert code == 1
    assert written.startswith("error: cannot start a thread: can't start new thread\nhint: raise")


@needs_root
def test_no_room_for_the_results(isobench: Isobench, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    isobench.prefix = ("unshare", "--mount", "sh", "-c", SMALL, disk)
    ended = isobench.call(*RUN, "--out", disk / "out")
    assert ended.code == 2
    assert "error: cannot write " in ended.err
    assert "No space left on device\nhint: free space" in ended.err
    assert "Traceback" not in ended.err
    assert ".partial" not in ended.out
    assert isobench.lasting_traces() == []


@needs_root
def test_a_disk_that_fills_up_keeps_what_was_measured(isobench: Isobench, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    isobench.prefix = ("unshare", "--mount", "sh", "-c", FILLS_UP, disk)
    ended = isobench.call(*RUN, "--out", disk / "results")
    assert ended.code == 2
    assert "No space left on device\nhint: free space" in ended.err
    assert "continue with: isobench run --resume" in ended.out
    assert 1 <= len(trials_in(tmp_path / "results")) < BLOCKS
    assert isobench.lasting_traces() == []


@needs_root
def test_a_folder_that_may_not_be_written_to(isobench: Isobench) -> None:
    ended = isobench.call(*RUN, "--out", "/proc/results")
    assert ended.code == 2
    assert ended.err.startswith("error: cannot write /proc/results")
    assert "\nhint: " in ended.err
    assert isobench.lasting_traces() == []


def test_the_command_as_a_program() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--modes", "dos"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr == "error: unknown mode 'dos'\nhint: did you mean dso?\n"


def test_commands_begin_without_what_only_their_end_needs() -> None:
    """Libraries that take longer to import than a command takes to refuse a mistake."""
    code = (
        "import sys\n"
        "from harness.commands.checking import doctor, selftest\n"
        "from harness.commands.measuring import attack, costs, density, profile, slo\n"
        "from harness.commands.running import run\n"
        "from harness.commands.serving import serve\n"
        "print(*{'gevent', 'locust', 'matplotlib', 'scipy'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_the_version_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["isobench", "--version"])
    assert cli.main() == 0
    assert capsys.readouterr().out == f"isobench {importlib.metadata.version('isobench')}\n"


def test_options_may_repeat_themselves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from harness.commands.running import run

    plans = []
    monkeypatch.setattr(run, "start", lambda plan, *_, **__: plans.append(plan))
    words = "run --modes dso,cgi,dso --load closed:2,closed:2 --connection close,close"
    monkeypatch.setattr(sys, "argv", ["isobench", *words.split()])
    assert cli.main() == 0
    (plan,) = plans
    assert json.loads(json.dumps(plan.to_json()))["targets"] == ["dso", "cgi"]
    assert len(list(plan.trials())) == 2 * plan.blocks


@pytest.mark.parametrize(
    ("words", "blocks", "precision", "budget_s"),
    [
        ("", 200, 0.05, 240.0),
        ("--quick", 200, 0.15, 100.0),
        ("--slices off", 5, None, None),
        ("--quick --blocks 9", 9, None, None),
        ("--precision 3%", 200, 0.03, None),
        ("--quick --budget 90s", 200, 0.15, 90.0),
        ("--precision 2.5% --budget 10m --blocks 30", 30, 0.025, 600.0),
    ],
)
def test_how_long_a_run_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    blocks: int,
    precision: float | None,
    budget_s: float | None,
) -> None:
    from harness.commands.running import run

    plans = []
    monkeypatch.setattr(run, "start", lambda plan, *_, **__: plans.append(plan))
    monkeypatch.setattr(sys, "argv", ["isobench", "run", "--modes", "dso", *words.split()])
    assert cli.main() == 0
    (plan,) = plans
    assert (plan.blocks, plan.precision, plan.budget_s) == (blocks, precision, budget_s)
    assert plan.open_ended == (blocks in (200, 30))


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("", "page:5ms"),
        ("--no-page", None),
        ("--quick", None),
        ("--quick --page", "page:5ms"),
        ("--page --modes dso,cgi", None),
    ],
)
def test_a_page_is_measured_beside_unless_the_run_is_short(
    monkeypatch: pytest.MonkeyPatch, words: str, page: str | None
) -> None:
    from harness.commands.running import run

    plans = []
    monkeypatch.setattr(run, "start", lambda plan, *_, **__: plans.append(plan))
    monkeypatch.setattr(sys, "argv", ["isobench", "run", *words.split()])
    assert cli.main() == 0
    (plan,) = plans
    assert plan.page == page


@pytest.mark.parametrize(
    "arguments",
    [
        *("run --workload page:{}s", "run --load closed:{}", "run --budget {}h", "run --blocks {}"),
        *("density --tenants {}", "costs --seed {}", "run --slo p99<{}ms", "profile --tenants {}"),
        *("compare a b --fail-if p99_ms>{}%", "run --replay x --map /a=page:{}s"),
    ],
)
def test_a_number_that_nothing_can_hold(say: Say, arguments: str) -> None:
    code, written = say(*arguments.format("9" * 400).split())
    assert code == 2
    assert "has a number of more digits than can be meant\nhint: write a shorter number" in written


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("run --modes dso --load closed:20000 --connection close", "20,000 users are more than"),
        ("run --modes dso --load closed:5000", "5,000 workers are more than isobench measures"),
        ("run --modes dso --tenants 10001", "10000"),
        ("run --modes dso --workers 1025", "1,025 workers are more than"),
        ("run --modes dso --blocks 10001", "10,001 blocks are more than"),
        ("run --modes dso --load open:5 --outstanding 99999 --connection close", "outstanding"),
        ("run --modes dso --seconds 1e300", "seconds are more than"),
        ("run --modes dso --budget 9999999h", "seconds of --budget are more than"),
        ("serve dso --workers 1025", "1024"),
        ("neighbour --workers 1025", "1024"),
    ],
)
def test_what_would_take_the_host_down_is_refused(say: Say, arguments: str, error: str) -> None:
    code, written = say(*arguments.split())
    assert code == 2
    assert error in written


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("run", "--modes", "dso", "--out", ""), "out is empty"),
        (("run", "--modes", "dso", "--out="), "out is empty"),
        (("run", "--resume", ""), "resume is empty"),
        (("costs", "--out", ""), "out is empty"),
        (("report", ""), "folder is empty"),
        (("serve", "dso", "--probe", "0", "--key", ""), "key is empty"),
    ],
)
def test_an_empty_word_is_no_path(say: Say, arguments: tuple[str, ...], error: str) -> None:
    code, written = say(*arguments)
    assert code == 2
    assert written == f"error: {error}\nhint: name it; . is the present directory\n"


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("attack", "--modes", ""), "targets"),
        (("attack", "--attacks", ","), "attacks"),
        (("density", "--modes", ","), "targets"),
        (("doctor", "--modes", ""), "targets"),
        (("neighbour", "--noise", " "), "noises"),
        (("profile", "--modes", ","), "targets"),
    ],
)
def test_a_list_of_nothing_is_not_everything(
    say: Say, arguments: tuple[str, ...], kind: str
) -> None:
    code, written = say(*arguments)
    assert (code, written) == (
        2,
        f"error: no {kind} are chosen\nhint: name at least one, or omit the option\n",
    )


@pytest.mark.parametrize("jobs", ["0", "-1", "65", "many"])
def test_a_number_of_jobs_that_makes_no_sense_is_refused(say: Say, jobs: str) -> None:
    code, written = say("attack", "--jobs", jobs)
    assert code == 2
    assert "--jobs" in written


@pytest.mark.parametrize("command", ["run", "attack", "costs", "profile", "neighbour", "density"])
@pytest.mark.parametrize("out", ["/dev/null", "/tmp/" + "a" * 300, "/etc/passwd/x"])
def test_a_folder_that_cannot_be_made_is_refused_at_once(
    say: Say, monkeypatch: pytest.MonkeyPatch, command: str, out: str
) -> None:
    monkeypatch.setattr(Host, "examine", lambda: pytest.fail("it goes to work"))
    code, written = say(command, "--out", out, *(() if command == "costs" else ("--modes", "dso")))
    assert code == 2
    assert written.startswith(f"error: cannot write {out}: ")
    assert "\nhint: choose another folder with --out" in written


@pytest.mark.parametrize(
    ("arguments", "useless"),
    [
        ("run --resume /nowhere --blocks 9 --out x", "--blocks and --out"),
        ("attack --resume /nowhere --attacks reading", "--attacks"),
        ("density --resume /nowhere --tenants 10", "--tenants"),
        ("run --modes dso --generators 2 --key x", "--generators and --key"),
        ("run --modes dso --master-port 5557", "--master-port"),
    ],
)
def test_an_option_without_effect_is_refused(say: Say, arguments: str, useless: str) -> None:
    code, written = say(*arguments.split())
    assert code == 2
    assert written.startswith(f"error: {useless} has no effect: ")
    assert f"\nhint: omit {useless}" in written


def test_a_promise_is_looked_at_with_one_connection_handling(say: Say) -> None:
    code, written = say("run", "--slo", "p99 < 50ms", "--connection", "close,keep-alive")
    assert code == 2
    assert "\nhint: write --connection close, or --connection keep-alive" in written
