"""Attacks on real servers: what is known to be open is seen to be open, the rest is blocked."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any, cast

import pytest

from harness.attack import attempt as attacks
from harness.attack import controls, judgement
from harness.attack.campaign import usual_jobs
from harness.attack.judgement import Attempt, Outcome
from harness.attack.scene import neighbour, opening, scene
from harness.attack.seats.bystander import Canary
from harness.attack.seats.operator import Operator
from harness.attack.seats.seat import IDS_OF_A_SEAT, Seat
from harness.attack.visitors import client
from harness.attack.visitors.raw_http import Reply
from harness.target import server
from harness.target.run_resources import RunResources
from servers import peers
from servers.controls import careless_peer
from servers.errors import Unavailable
from servers.peer import Peer
from tests.harness.faulty import made_of
from tests.harness.live import needs_root
from workloads.attacks import LANGUAGES, Attack, every, load
from workloads.attacks.scene import Scene

pytestmark = needs_root

SAFE = (
    "harache",
    "zygote",
    "sandbox",
    "suexec",
    "fastcgi",
    "router",
    "suid2",
    "ruid2_drop",
    "hussa",
)


@pytest.fixture(name="seat", scope="module")
def _seat() -> Iterator[Seat]:
    with RunResources() as resources, ExitStack() as stack:
        yield from seats(resources, stack, 1)


def seats(resources: RunResources, stack: ExitStack, count: int) -> Iterator[Seat]:
    first = resources.uids.first_free(count * IDS_OF_A_SEAT - 1)
    for number in range(count):
        directory = resources.scratch / f"seat-{number}"
        directory.mkdir(mode=0o755)
        group = resources.another_group(number)
        operator = stack.enter_context(Operator([resources.scratch]))
        yield Seat(directory, group, first + number * IDS_OF_A_SEAT, operator)


def attempt(seat: Seat, target: str, *names: str) -> dict[str, Attempt]:
    found: list[Attempt] = []
    chosen = [load(name) for name in names]
    attacks.attack_all(seat, controls.find(target), chosen, found.append)
    return {one.attack.name: one for one in found}


def made(seat: Seat, target: str, *chosen: Attack) -> list[Attempt]:
    found: list[Attempt] = []
    attacks.attack_all(seat, controls.find(target), chosen, found.append)
    return found


SCRIPTS = [(one, language) for one in every() for language in LANGUAGES if one.source_in(language)]


IDS = [one.script_in(language) for one, language in SCRIPTS]


Made = dict[str, Future[dict[str, Attempt]]]


@pytest.fixture(name="controls_made", scope="module")
def _controls_made(request: pytest.FixtureRequest) -> Iterator[Made]:
    """Make the chosen attacks where they must succeed, as many at a time as the command does.

    One server does for those that leave nothing behind.
    """
    chosen = {item.name for item in request.session.items}
    groups: dict[object, list[tuple[Attack, str]]] = {}
    for script, (attack, language) in zip(IDS, SCRIPTS, strict=True):
        if f"test_every_attack_succeeds_where_it_must[{script}]" in chosen:
            together = (attack.control_in(language), language, attack.workers)
            shared = attack.shared and language != "php"
            groups.setdefault(together if shared else script, []).append((attack, language))
    with (
        RunResources() as resources,
        ExitStack() as stack,
        ThreadPoolExecutor(usual_jobs()) as pool,
    ):
        free: SimpleQueue[Seat] = SimpleQueue()
        for seat in seats(resources, stack, usual_jobs()):
            free.put(seat)

        def make(group: list[tuple[Attack, str]]) -> dict[str, Attempt]:
            seat = free.get()
            try:
                (first, language), *others = group
                if not others:
                    return {first.script_in(language): attacks.control(seat, first, language)}
                found = made(seat, first.control_in(language), *(one for one, _ in group))
                return {one.script: one for one in found}
            finally:
                free.put(seat)

        yield {
            attack.script_in(language): future
            for group, future in [(one, pool.submit(make, one)) for one in groups.values()]
            for attack, language in group
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("attack", "language"), SCRIPTS, ids=IDS)
def test_every_attack_succeeds_where_it_must(
    controls_made: Made, seat: Seat, attack: Attack, language: str
) -> None:
    if language != "python":
        _must_be_there(careless_peer.load(f"careless_{language}"))
    script = attack.script_in(language)
    seen = controls_made[script].result()[script]
    if seen.outcome is not Outcome.SUCCEEDED:  # a script has a time limit, which a busy host meets
        seen = attacks.control(seat, attack, language)
    assert seen.outcome is Outcome.SUCCEEDED, seen.evidence


@pytest.mark.parametrize(
    ("target", "outcome"),
    [("apache-itk", Outcome.SUCCEEDED), ("apache-itk:opcache=checked", Outcome.BLOCKED)],
)
def test_a_cache_hands_out_what_its_owner_may_read_unless_it_asks(
    seat: Seat, target: str, outcome: Outcome
) -> None:
    _must_have("apache-itk")
    seen = attempt(seat, target, "include_neighbours_file", "neighbours_secret")
    assert seen["include_neighbours_file"].outcome is outcome
    assert seen["neighbours_secret"].outcome is Outcome.BLOCKED


def test_a_product_that_runs_python_is_attacked_as_a_mode_is(seat: Seat) -> None:
    _must_have("apache-cgi")
    seen = attempt(seat, "apache-cgi", "neighbours_secret", "kill_sibling", "kill_master")
    outcomes = {name: one.outcome for name, one in seen.items()}
    assert outcomes == {
        "neighbours_secret": Outcome.SUCCEEDED,
        "kill_sibling": Outcome.SUCCEEDED,
        "kill_master": Outcome.BLOCKED,
    }


def test_under_mod_perl_tenants_share_an_interpreter_and_no_more_than_that(seat: Seat) -> None:
    _must_have("apache-perl")
    shared = "read_cache", "poisoned_cache", "patched_module", "kept_module_state"
    kept_apart = "setuid_neighbour", "changed_environment", "import_path"
    seen = attempt(seat, "apache-perl", *shared, *kept_apart)
    outcomes = {name: one.outcome for name, one in seen.items()}
    assert outcomes == dict.fromkeys(shared, Outcome.SUCCEEDED) | dict.fromkeys(
        kept_apart, Outcome.BLOCKED
    )


@pytest.mark.parametrize(
    ("target", "name", "reason"),
    [
        ("apache-php", "patched_builtin", "it is not written in PHP"),
        ("apache-perl", "patched_builtin", "it is not written in Perl"),
        ("apache-php", "forged_stamps", "a product stamps nothing"),
        ("apache-cgi", "servers_switch", "objects of isobench's own servers"),
        ("apache-suexec", "for_root", "the wrapper that it calls is that of isobench's own"),
        ("dso", "loosened_guard", "it is not written in Python"),
    ],
)
def test_what_a_product_has_not_is_known_without_a_server(
    seat: Seat, target: str, name: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "opened", None)
    seen = attempt(seat, target, name)[name]
    assert seen.outcome is Outcome.NOT_APPLICABLE
    assert reason in seen.evidence


def _must_have(product: str) -> None:
    _must_be_there(peers.load(product))


def _must_be_there(product: type[Peer]) -> None:
    try:
        product.check()
    except Unavailable as missing:
        pytest.skip(f"{missing.reason}: {missing.hint}")


@pytest.mark.parametrize("target", ["dso", "cgi"])
def test_whoever_runs_as_the_server_reads_the_neighbours_secret(seat: Seat, target: str) -> None:
    seen = attempt(seat, target, "neighbours_secret")["neighbours_secret"]
    assert seen.outcome is Outcome.SUCCEEDED
    assert "the neighbour's secret came back: " in seen.evidence


@pytest.mark.parametrize("target", SAFE)
def test_whoever_runs_as_the_owner_does_not(seat: Seat, target: str) -> None:
    seen = attempt(seat, target, "neighbours_secret", "neighbours_listing", "planted_symlink")
    assert {one.outcome for one in seen.values()} == {Outcome.BLOCKED}


@pytest.mark.parametrize(
    ("target", "outcome"),
    [
        ("ruid2", Outcome.SUCCEEDED),
        ("ruid2_drop", Outcome.BLOCKED),
        ("hussa", Outcome.BLOCKED),
        ("process_security", Outcome.BLOCKED),
    ],
)
def test_a_permitted_capability_can_be_raised_where_it_was_left(
    seat: Seat, target: str, outcome: Outcome
) -> None:
    seen = attempt(seat, target, "raised_capability")["raised_capability"]
    assert seen.outcome is outcome, seen.evidence


def test_what_shares_the_servers_memory_can_call_its_way_back(seat: Seat) -> None:
    seen = attempt(seat, "hussa", "servers_switch")["servers_switch"]
    assert seen.outcome is Outcome.SUCCEEDED
    assert "as the neighbour" in seen.evidence


@pytest.mark.parametrize("target", ["harache", "sandbox"])
def test_a_child_cannot_falsify_the_scoreboard(seat: Seat, target: str) -> None:
    seen = attempt(seat, target, "scoreboard")["scoreboard"]
    assert seen.outcome is Outcome.BLOCKED, seen.evidence


@pytest.mark.parametrize("target", ["dso", "zygote", "sandbox"])
def test_what_stamps_in_a_scripts_process_is_the_scripts_to_forge(seat: Seat, target: str) -> None:
    seen = attempt(seat, target, "forged_stamps")["forged_stamps"]
    assert seen.outcome is Outcome.SUCCEEDED, seen.evidence


@pytest.mark.parametrize("target", ["cgi", "suexec"])
def test_a_program_has_no_way_to_the_journal(seat: Seat, target: str) -> None:
    seen = attempt(seat, target, "forged_stamps")["forged_stamps"]
    assert seen.outcome is Outcome.BLOCKED
    assert "No such file or directory: '/journal'" in seen.evidence


def test_the_log_is_for_root_alone(seat: Seat) -> None:
    assert attempt(seat, "dso", "server_log")["server_log"].outcome is Outcome.BLOCKED


def test_what_is_not_there_is_told_by_looking(seat: Seat) -> None:
    seen = attempt(seat, "dso", "for_root", "fork_exec", "kill_helper", "neighbours_cmdline")
    assert {one.outcome for one in seen.values()} == {Outcome.NOT_APPLICABLE}


def test_a_guard_inside_the_language_can_be_walked_around(seat: Seat) -> None:
    seen = attempt(seat, "safe_mode", "fork_exec", "hook_state_by_gc", "planted_extension")
    outcomes = {name: one.outcome for name, one in seen.items()}
    assert outcomes == {
        "fork_exec": Outcome.SUCCEEDED,
        "hook_state_by_gc": Outcome.SUCCEEDED,
        "planted_extension": Outcome.BLOCKED,
    }


def test_bystanders_come_to_no_harm(seat: Seat) -> None:
    with Canary(seat.directory, seat.first_uid + 1) as canary:
        attempt(seat, "dso", "kill_sibling", "exhaust_processes", "outlive_response")
        assert list(canary.harm()) == []


def test_a_target_that_does_not_start_is_an_error(seat: Seat) -> None:
    broken = controls.find("careless")
    found: list[Attempt] = []
    missing = type(broken)(**{**vars(broken), "name": "careless", "mode": "no_such_double"})
    attacks.attack_all(seat, missing, [load("neighbours_secret")], found.append)
    assert [one.outcome for one in found] == [Outcome.ERROR]
    assert "no server to attack" in found[0].evidence


def told(words: str) -> Reply:
    return Reply(f"HTTP/1.1 200 OK\r\n\r\nisobench-attack {words}\nmore".encode())


@pytest.mark.parametrize(
    ("replies", "outcome", "words"),
    [
        ([told("refused OSError: no")], Outcome.BLOCKED, "OSError: no"),
        ([told("done")], Outcome.BLOCKED, "without an effect"),
        ([told("nothing no wrapper")], Outcome.NOT_APPLICABLE, "no wrapper"),
        ([told("broke KeyError: x")], Outcome.ERROR, "KeyError: x"),
        ([told("done"), told("refused OSError: no")], Outcome.BLOCKED, "OSError: no"),
        ([told("refused OSError: no"), told("broke KeyError: x")], Outcome.ERROR, "KeyError: x"),
        ([Reply()], Outcome.ERROR, "no answer"),
        ([], Outcome.ERROR, "no answer"),
        ([Reply(b"HTTP/1.1 504 X\r\n\r\ntoo long\nmore")], Outcome.ERROR, "504: too long"),
        ([Reply(b"HTTP/1.1 200 OK\r\n\r\nhello")], Outcome.ERROR, "200: hello"),
        ([Reply(b"\xff\x00 nothing of HTTP")], Outcome.ERROR, "no answer"),
    ],
)
def test_what_was_not_proven_is_explained(
    replies: list[Reply], outcome: Outcome, words: str
) -> None:
    found, evidence = judgement.explain(replies)
    assert found is outcome
    assert words in evidence


@pytest.mark.parametrize(
    ("began", "outcome", "words"),
    [
        (True, Outcome.BLOCKED, "without an effect: the server answered 504"),
        (False, Outcome.ERROR, "never started"),
    ],
)
def test_silence_is_no_error_of_an_attack_that_says_so_and_began(
    began: bool, outcome: Outcome, words: str
) -> None:
    reply = Reply(b"HTTP/1.1 504 X\r\n\r\ntoo long")
    found, evidence = judgement.explain([reply], began=began, may_be_ended=True)
    assert found is outcome
    assert words in evidence


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\tc", "a b c"),
        ("\x1b[31m[red]x[/]\x07", "\\x1b[31m[red]x[/]\\x07"),
        ("\udc80 \u202e", "\\udc80 \\u202e"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
    ],
)
def test_evidence_is_one_line_in_which_nothing_hides(text: str, line: str) -> None:
    assert judgement.presentable(text) == line


def test_evidence_is_short_however_long_it_was() -> None:
    shown = judgement.presentable("x" * 10_000_000)
    assert len(shown) == judgement.MOST_EVIDENCE
    assert shown.endswith("\N{HORIZONTAL ELLIPSIS}")


BROKEN = {
    "import sqlite3\nsqlite3.connect('/nowhere/x.db')": (Outcome.BLOCKED, "OperationalError"),
    "import zlib\nzlib.decompress(b'x')": (Outcome.BLOCKED, "error: Error -5"),
    "raise EOFError('no more')": (Outcome.BLOCKED, "EOFError: no more"),
    "raise MemoryError": (Outcome.BLOCKED, "MemoryError"),
    "return undefined": (Outcome.ERROR, "broken: NameError"),
    "return {}['x']": (Outcome.ERROR, "broken: KeyError"),
    "import sys\nsys.exit(3)": (Outcome.ERROR, "ended without output"),
    "import os\nos._exit(3)": (Outcome.ERROR, "ended without output"),
    "import os\nos.kill(os.getpid(), 9)": (Outcome.ERROR, "ended without output"),
    "raise KeyboardInterrupt": (Outcome.ERROR, "ended without output"),
    "import time\ntime.sleep(60)": (Outcome.ERROR, "without output: the server answered 504"),
    "return 'x' * (32 << 20)": (Outcome.ERROR, "ended without output"),
    "class Sly:\n    def __str__(self): return 1 / 0\nreturn Sly()": (Outcome.ERROR, "ended"),
    "def": (Outcome.ERROR, "the script never started: the server answered 500"),
}


@pytest.mark.parametrize("target", ["dso", "harache"])
def test_a_script_that_breaks_is_not_taken_for_one_that_was_blocked(
    seat: Seat, tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attacks, "MOST_TRIES", 1)
    chosen = [
        made_of(tmp_path, statements, f"broken_{number}")
        for number, statements in enumerate(BROKEN)
    ]
    seen = made(seat, target, *chosen)
    for one, (outcome, words) in zip(seen, BROKEN.values(), strict=True):
        assert (one.outcome, words in one.evidence) == (outcome, True), one.evidence


def boom(scene: Scene) -> str | None:
    raise ZeroDivisionError(scene.token)


def leave(scene: Scene) -> str | None:
    raise SystemExit(5)


def bare(scene: Scene) -> str | None:
    return cast("str", 42)


def gibberish(scene: Scene) -> str | None:
    return "\x1b[2J[red]" + "\udcff" + "y" * 5_000_000


def test_what_breaks_in_the_harness_is_an_error_of_one_attack(seat: Seat, tmp_path: Path) -> None:
    acts = {boom: "ZeroDivisionError", leave: "SystemExit: 5", bare: "type int"}
    chosen = {
        made_of(
            tmp_path, "import time\ntime.sleep(0.1)", f"{name}_{act.__name__}", **{name: act}
        ): words
        for act, words in acts.items()
        for name in ("proof", "missing", "meanwhile")
        if (name, act) != ("missing", bare)  # a reason may be anything
    }
    seen = made(seat, "dso", *chosen, load("neighbours_secret"))
    for one, words in zip(seen, chosen.values(), strict=False):
        assert (one.outcome, words in one.evidence) == (Outcome.ERROR, True), one
    assert seen[-1].outcome is Outcome.SUCCEEDED


def test_a_proof_that_does_not_end_is_given_up(
    seat: Seat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attacks, "LONGEST_S", 1.0)
    over = Event()

    def wait(scene: Scene) -> str | None:
        over.wait(60)
        return None

    seen = made(seat, "dso", made_of(tmp_path, "pass", proof=wait))
    over.set()
    assert seen[0].outcome is Outcome.ERROR
    assert "did not end" in seen[0].evidence


def test_evidence_of_an_attack_is_presentable(seat: Seat, tmp_path: Path) -> None:
    (seen,) = made(seat, "dso", made_of(tmp_path, "pass", proof=gibberish))
    assert seen.outcome is Outcome.SUCCEEDED
    assert seen.evidence.startswith("\\x1b[2J[red]\\udcffyyy")
    assert len(seen.evidence) == judgement.MOST_EVIDENCE


ENDS_SERVER = "import os, signal\nos.kill(given.master, signal.SIGTERM)"


def test_a_process_that_may_have_ended_by_itself_was_not_killed_by_the_attack(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbour, "BY_ITSELF", 0.0)
    seen = attempt(seat, "careless", "kill_sibling")["kill_sibling"]
    assert seen.outcome is Outcome.ERROR
    assert "may have come to its end by itself" in seen.evidence


def test_a_server_that_died_is_an_error_and_the_next_attack_has_a_new_one(
    seat: Seat, tmp_path: Path
) -> None:
    deadly = made_of(tmp_path, ENDS_SERVER, "deadly")
    seen = made(seat, "careless", deadly, load("neighbours_secret"))
    assert seen[0].outcome is Outcome.ERROR
    assert seen[0].evidence.startswith("after it the server has ended")
    assert seen[1].outcome is Outcome.SUCCEEDED


def test_where_the_servers_end_is_the_goal_it_is_the_proof(seat: Seat, tmp_path: Path) -> None:
    deadly = made_of(tmp_path, ENDS_SERVER, "deadly", proof=outage)
    seen = made(seat, "careless", deadly, load("neighbours_secret"))
    assert [one.outcome for one in seen] == [Outcome.SUCCEEDED, Outcome.SUCCEEDED]
    assert "the server has ended" in seen[0].evidence


STOPS_WORKER = """import os, signal
if os.fork() == 0:
    os.kill(os.getppid(), signal.SIGSTOP)
    open(f"{given.drop}/stopped", "w").close()
    os._exit(0)
"""


def when_stopped(scene: Scene) -> str | None:
    assert scene.wait_for(10, "stopped")
    return None


def test_a_hung_server_is_an_error_and_the_next_attack_has_a_new_one(
    seat: Seat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "SERVED_WITHIN", 1)
    monkeypatch.setattr(opening, "SCRIPT_SECONDS", 1)
    monkeypatch.setattr(client, "PATIENCE_S", 1.0)
    monkeypatch.setattr(server, "_STOP_S", 1.0)
    hanging = made_of(tmp_path, STOPS_WORKER, "hanging", proof=when_stopped)
    seen = made(seat, "careless_oversight", hanging, load("neighbours_secret"))
    assert seen[0].outcome is Outcome.ERROR
    assert seen[0].evidence.startswith("after it the neighbour was not served within 1 s")
    assert seen[1].outcome is Outcome.SUCCEEDED


def test_servers_that_die_again_and_again_are_not_started_for_ever(
    seat: Seat, tmp_path: Path
) -> None:
    names = [f"deadly_{number}" for number in range(attacks.MOST_LOST + 1)]
    seen = made(seat, "careless", *(made_of(tmp_path, ENDS_SERVER, name) for name in names))
    assert {one.outcome for one in seen} == {Outcome.ERROR}
    assert [one.attack.name for one in seen] == names
    assert seen[-1].evidence.startswith("not run, because 3 servers were lost; the last: after it")


def test_a_control_that_does_not_exist_has_failed(seat: Seat, tmp_path: Path) -> None:
    seen = attacks.control(seat, made_of(tmp_path, "pass", control="careles"))
    assert seen.outcome is Outcome.ERROR
    assert "careles" in seen.evidence


def outage(scene: Scene) -> str | None:
    return scene.outage()


ENDS_SERVER_LATER = """import os, signal, time
if os.fork() == 0:
    time.sleep(0.4)
    os.kill(given.master, signal.SIGTERM)
    os._exit(0)"""


def test_an_outage_that_begins_after_the_answer_is_seen(seat: Seat, tmp_path: Path) -> None:
    late = made_of(tmp_path, ENDS_SERVER_LATER, "late", proof=late_outage)
    assert [one.outcome for one in made(seat, "careless", late)] == [Outcome.SUCCEEDED]


def late_outage(scene: Scene) -> str | None:
    return scene.outage(watched_s=2.0)


Opened = list[int]


@pytest.fixture(name="opened")
def _opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Return the time limits of scripts on the servers that are started, as far as they are."""
    limits: Opened = []
    usual = opening.opened

    @contextmanager
    def noted(*arguments: Any) -> Iterator[scene.Scene]:
        limits.append(arguments[-1])
        with usual(*arguments) as stage:
            yield stage

    monkeypatch.setattr(opening, "opened", noted)
    return limits


def test_what_was_refused_at_the_first_step_leaves_the_server_to_the_next_attack(
    seat: Seat, opened: Opened
) -> None:
    refused = "setuid_root", "neighbours_file", "kill_master"
    seen = attempt(seat, "harache", *refused, "fork_exec", "own_memory")
    assert {seen[name].outcome for name in refused} == {Outcome.BLOCKED}, seen
    assert seen["own_memory"].outcome is Outcome.NOT_APPLICABLE
    assert len(opened) == 1


def test_what_came_further_or_succeeded_has_had_a_server_of_its_own(
    seat: Seat, opened: Opened
) -> None:
    seen = attempt(seat, "dso", "changed_umask", "patched_open")
    assert {one.outcome for one in seen.values()} == {Outcome.SUCCEEDED}
    attempt(seat, "harache", "changed_umask", "patched_open")
    assert len(opened) == 4


def test_a_script_that_had_too_little_time_is_given_more(
    seat: Seat, tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "SCRIPT_SECONDS", 1)
    monkeypatch.setattr(attacks, "AGAIN", 20)
    (seen,) = made(seat, "dso", made_of(tmp_path, "import time\ntime.sleep(1.5)\nraise OSError"))
    assert (seen.outcome, seen.evidence) == (Outcome.BLOCKED, "OSError:")
    assert opened == [1, 20]


def test_what_was_over_before_it_was_seen_is_made_again_and_then_is_an_error(
    seat: Seat, tmp_path: Path, opened: Opened
) -> None:
    unseen = made_of(tmp_path, 'open(f"{given.drop}/shown", "w").close()', proof=looked_late)
    (seen,) = made(seat, "dso", unseen)
    assert seen.outcome is Outcome.ERROR
    assert "over before it was seen" in seen.evidence
    assert len(opened) == attacks.MOST_TRIES


def test_a_script_that_may_be_ended_had_its_time_before_that_counts(
    seat: Seat, tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "SCRIPT_SECONDS", 1)
    monkeypatch.setattr(attacks, "AGAIN", 20)
    slow = "import time\ntime.sleep(1.5)\nraise OSError"
    (seen,) = made(seat, "dso", made_of(tmp_path, slow, may_be_ended=True))
    assert (seen.outcome, seen.evidence) == (Outcome.BLOCKED, "OSError:")
    assert opened == [1, 20]


def looked_late(scene: Scene) -> str | None:
    scene.must_have_looked("shown", "seen")
    return None


@pytest.mark.parametrize(
    ("outcomes", "limits"),
    [([Outcome.SUCCEEDED] * 2, [1, 3]), ([Outcome.SUCCEEDED, Outcome.BLOCKED], [1, 3])],
)
def test_a_short_time_limit_alone_lets_no_attack_succeed(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, outcomes: list[Outcome], limits: Opened
) -> None:
    given: Opened = []

    @contextmanager
    def pretended(*arguments: Any) -> Iterator[None]:
        given.append(arguments[-1])
        yield None

    left = list(outcomes)
    monkeypatch.setattr(opening, "opened", pretended)
    monkeypatch.setattr(attacks, "attempt", lambda *_: judgement.Judgement(left.pop(0), ""))
    assert attempt(seat, "dso", "never_end")["never_end"].outcome is outcomes[-1]
    assert given == limits


def test_the_order_is_the_seeds() -> None:
    first, again, other = (attacks.in_random_order(every(), "dso", seed) for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(first, key=repr) == sorted(every(), key=repr)


LEFT = ("kept_module_state", "kept_builtin", "kept_descriptor", "cached_visitor")


@pytest.mark.parametrize("target", ["fastcgi", "router", "harache", "groundhog"])
def test_who_keeps_a_tenants_process_keeps_what_a_request_left(seat: Seat, target: str) -> None:
    """Unless it ends, or is put back."""
    seen = attempt(seat, target, *LEFT)
    outcome = Outcome.BLOCKED if target in {"harache", "groundhog"} else Outcome.SUCCEEDED
    assert {one.outcome for one in seen.values()} == {outcome}, seen


SERVING = ("stopped_orphan", "misleading_name", "held_back_end", "unfit_worker", "left_zombies")


@pytest.mark.parametrize("target", ["dso", "fastcgi"])
def test_no_script_ends_the_server_or_keeps_it_from_serving(seat: Seat, target: str) -> None:
    seen = attempt(seat, target, *SERVING)
    assert Outcome.SUCCEEDED not in {one.outcome for one in seen.values()}, seen


MEETING = """import os, time
deadline = time.monotonic() + 0.9 * given.limit
open(f"{given.drop}/{given.hand}", "w").close()
while not os.path.exists(f"{given.drop}/{1 - given.hand}") and time.monotonic() < deadline:
    time.sleep(0.01)
saw = os.path.exists(f"{given.drop}/{1 - given.hand}")
return f"saw {saw}"
"""


def both_saw_each_other(scene: Scene) -> str | None:
    return "they met" if all(b"saw True" in one.raw for one in scene.replies()) else None


def test_requests_at_the_same_time_are_with_several_workers(seat: Seat, tmp_path: Path) -> None:
    meeting = made_of(tmp_path, MEETING, hands=2, workers=2, proof=both_saw_each_other)
    found = made(seat, "dso", *[meeting] * 10)
    assert [one.evidence for one in found] == ["they met"] * 10
