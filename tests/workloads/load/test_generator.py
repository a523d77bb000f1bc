"""The real generator process against a stub server; `trials` is tested through it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workloads import credential
from workloads.access_log.trace import Trace
from workloads.load.schedule import account
from workloads.load.timetable import Timetable

ROOT = Path(__file__).parents[2]
Command = dict[str, Any]


class Generator:
    """The process, spoken to as the harness does."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "workloads.load.generator"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ready = self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        event: dict[str, Any] = json.loads(self.process.stdout.readline())
        return event

    def ask(self, command: Command | str) -> list[dict[str, Any]]:
        """Send a command; return the events up to the last that answers it."""
        assert self.process.stdin is not None
        line = command if isinstance(command, str) else json.dumps(command)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        events = [self.read()]
        while events[-1]["event"] in ("measuring", "measured"):
            events.append(self.read())
        return events

    def end(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(60)
        self.process.stdout.close()
        return code


@pytest.fixture(scope="module")
def generator() -> Iterator[Generator]:
    generator = Generator()
    yield generator
    assert generator.end() == 0


@pytest.fixture
def trial(tenants: list[Command], tmp_path: Path) -> Callable[..., Command]:
    def make(port: int, **fields: Any) -> Command:
        return {
            "trial": "b1-dso-hello",
            "host": "127.0.0.1",
            "port": port,
            "workload": "hello",
            "tenants": tenants,
            "users": 4,
            "warmup_s": 0.2,
            "measure_s": 0.5,
            "output": str(tmp_path / "rows"),
            **fields,
        }

    return make


def test_it_says_what_it_is(generator: Generator) -> None:
    assert generator.ready["event"] == "ready"
    assert {"locust", "gevent"} <= set(generator.ready)
    assert generator.ask({"hello": True}) == [generator.ready]


@pytest.mark.parametrize("client", ["compiled", "lean", "fasthttp"])
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_trial(
    generator: Generator,
    stub: Callable[[str], int],
    trial: Callable[..., Command],
    client: str,
    connection: str,
) -> None:
    command = trial(stub("hello"), client=client, connection=connection)
    measuring, measured, done = generator.ask(command)
    assert [measuring["event"], measured["event"], done["event"]] == [
        "measuring",
        "measured",
        "done",
    ]
    assert {event["trial"] for event in (measuring, measured, done)} == {"b1-dso-hello"}
    start, end = done["window"]
    assert (start, end) == (measuring["at"], measured["at"])
    assert end - start >= 0.5
    rows = np.load(done["file"])
    assert rows.shape == (done["requests_total"], 2)
    inside = (rows[:, 0] >= start) & (rows[:, 0] < end)
    assert done["requests"] == inside.sum() > 10
    assert (rows[:, 1] > 0).all()
    assert done["errors"] == 0
    assert done["evidence"] is None
    assert not done["stopped_early"]
    assert done["generator_cpu_s"] > 0
    assert done["generator_waited_s"] >= 0
    assert (done["rest_s"] is None) is (client != "compiled")
    assert done["requests_total"] <= done["sent"] <= done["requests_total"] + 4
    assert done["verified"] == done["requests_total"]
    assert done["asked_first"] == 2
    if client != "fasthttp":
        assert done["connections"] == (4 if connection == "keep-alive" else done["sent"])


@pytest.mark.parametrize(("wake_s", "asked"), [(0, 50), (1e-9, 50), (60, 60)])
def test_of_many_tenants_some_are_verified_and_the_others_asked_if_there_is_time(
    generator: Generator,
    stub: Callable[[str], int],
    trial: Callable[..., Command],
    tenants: list[Command],
    wake_s: float,
    asked: int,
) -> None:
    many = [{**tenants[0], "name": f"t{number:04d}"} for number in range(1, 61)]
    command = trial(stub("hello"), tenants=many, measure_s=0.1, wake_s=wake_s)
    *_, done = generator.ask(command)
    assert done["asked_first"] == asked


def test_littles_law_holds_of_the_rows(
    generator: Generator, stub: Callable[[str], int], trial: Callable[..., Command]
) -> None:
    *_, done = generator.ask(trial(stub("hello"), users=1, measure_s=0.3))
    rows = np.load(done["file"])
    # One user: each request begins after the last was complete, so that they never overlap.
    began = rows[:, 0] - rows[:, 1] / 1e6
    assert (began[1:] >= rows[:-1, 0] - 1e-6).all()


@pytest.mark.skipif(credential.obstacle() is not None, reason="only who has CAP_NET_RAW can stamp")
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_trial_with_stamped_connections(
    generator: Generator,
    stub: Callable[[str], int],
    trial: Callable[..., Command],
    tmp_path: Path,
    connection: str,
) -> None:
    key = str(credential.make_key(tmp_path / "key"))
    command = trial(stub("hello"), connection=connection, credential_key=key)
    *_, done = generator.ask(command)
    assert (done["errors"], done["retries"]) == (0, 0)
    assert done["requests"] > 10
    (failed,) = generator.ask({**command, "client": "fasthttp"})
    assert failed["reason"] == "the client fasthttp cannot send a credential in its packets"


def test_verification_alone(
    generator: Generator, stub: Callable[[str], int], trial: Callable[..., Command]
) -> None:
    command = {**trial(stub("hello")), "verify": 7}
    command.pop("trial")
    assert generator.ask(command) == [{"event": "verified", "verify": 7, "tenants": 2}]


def test_a_wrong_identity_is_found_before_the_load(
    generator: Generator, stub: Callable[[str], int], trial: Callable[..., Command], tmp_path: Path
) -> None:
    (failed,) = generator.ask(trial(stub("wrong-second-tenant")))
    assert failed["event"] == "failed"
    assert failed["trial"] == "b1-dso-hello"
    assert failed["reason"] == "tenant t0002: ran as uid 97001 instead of 47001"
    assert failed["evidence"]["body"].startswith("isobench tenant=t0002 uid=97001 ")
    assert failed["hint"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("client", ["compiled", "lean"])
def test_a_wrong_identity_under_load_is_kept_as_evidence(
    generator: Generator, stub: Callable[[str], int], trial: Callable[..., Command], client: str
) -> None:
    command = trial(stub("wrong-later"), client=client, warmup_s=5, measure_s=5)
    *_, done = generator.ask(command)
    assert done["errors"] > 1000
    assert done["stopped_early"]
    assert done["evidence"]["reason"] == "ran as uid 97001 instead of 47001"
    assert done["evidence"]["status"] == 200


def test_a_server_that_hangs_does_not_hold_up_the_trial(
    generator: Generator, stub: Callable[[str], int], trial: Callable[..., Command]
) -> None:
    *_, done = generator.ask(trial(stub("silent-later")))
    assert done["requests"] == 0
    assert done["sent"] == done["requests_total"] + 4
    assert done["verified"] <= done["requests_total"]


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_an_open_trial(
    generator: Generator, stub: Callable[[str], int], trial: Callable[..., Command], connection: str
) -> None:
    command = trial(stub("hello"), rate=400, schedule="uniform", connection=connection)
    *_, done = generator.ask(command)
    start, end = done["window"]
    rows = np.load(done["file"])
    found = account(rows, start, end)
    # All that was to be sent, whenever it could be: 0.5 s of 400 requests a second.
    assert len(found.response_us) == pytest.approx(400 * (end - start), abs=1)
    assert (found.dropped, done["errors"]) == (0, 0)
    assert (rows[:, 1] > 0).all()
    assert ((rows[:, 0] - rows[:, 2]) * 1e6 >= rows[:, 1] - 1).all()
    assert done["requests_total"] == len(rows) <= done["sent"] <= len(rows) + 4


def test_the_same_seed_intends_the_same_times(
    generator: Generator, stub: Callable[[str], int], trial: Callable[..., Command]
) -> None:
    command = trial(stub("hello"), rate=300, measure_s=0.2, seed=5)
    first, second = (np.sort(np.load(generator.ask(command)[-1]["file"])[:, 2]) for _ in range(2))
    assert np.diff(first[:20]) == pytest.approx(np.diff(second[:20]), abs=1e-6)


def test_a_log_is_sent_at_its_own_times(
    generator: Generator, stub: Callable[[str], int], trial: Callable[..., Command], tmp_path: Path
) -> None:
    seconds = np.repeat(np.arange(3), 20)
    log = Trace.of(seconds, seconds % 2, np.zeros_like(seconds))
    (tmp_path / "trace.npy").write_bytes(log.to_bytes())
    trace = {"file": str(tmp_path / "trace.npy"), "speed": 4, "at": 0, "lead_s": 0}
    command = trial(stub("hello"), trace=trace, warmup_s=0.1, measure_s=0.4)
    *_, done = generator.ask(command)
    intended = np.sort(np.load(done["file"])[:, 2])
    assert (done["errors"], done["unanswered"]) == (0, 0)
    # Of the measured window, whose requests are all in the rows.
    inside = intended[(intended >= done["window"][0]) & (intended < done["window"][1])]
    assert len(inside) > 10
    first = int(np.searchsorted(intended, inside[0]))
    expected = np.diff(log.array[0]) / 4e9
    assert np.diff(inside) == pytest.approx(expected[first:][: len(inside) - 1], abs=1e-6)


def test_what_an_open_load_waits_for_in_vain_is_in_its_rows(
    generator: Generator, stub: Callable[[str], int], trial: Callable[..., Command]
) -> None:
    command = trial(stub("silent-later"), rate=400, schedule="uniform", warmup_s=0.5, drain_s=0.2)
    *_, done = generator.ask(command)
    start, end = done["window"]
    found = account(np.load(done["file"]), start, end)
    # Four users, of whom each has 19 answers and then waits for ever: nobody sends the rest.
    assert found.dropped == len(found.response_us) == pytest.approx(400 * (end - start), abs=1)
    assert found.response_us.min() >= 0.2e6
    assert (done["requests"], done["errors"]) == (0, 0)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("what?", "not JSON"),
        ("[]", "not an object"),
        ({"fly": True}, "unknown command"),
        ({"trial": 1, "output": "x", "warmup_s": 0, "measure_s": 1}, "KeyError: 'host'"),
        ({"trial": 1}, "KeyError: 'output'"),
    ],
)
def test_commands_that_make_no_sense(
    generator: Generator, command: Command | str, reason: str
) -> None:
    (failed,) = generator.ask(command)
    assert failed["event"] == "failed"
    assert reason in failed["reason"]
    assert failed["hint"]


def test_interrupts_are_left_to_the_harness(generator: Generator) -> None:
    generator.process.send_signal(signal.SIGINT)
    assert generator.ask({"hello": True}) == [generator.ready]


def test_it_does_not_outlive_its_parent() -> None:
    code = """
import subprocess, sys
generator = subprocess.Popen([sys.executable, "-m", "workloads.load.generator"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
generator.stdout.readline()
print(generator.pid, flush=True)
sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        descriptor = os.pidfd_open(pid)
        parent.kill()
    with os.fdopen(descriptor) as generator:
        assert select.select([generator], [], [], 60)[0], "the generator is still there"


def in_turns(generator: Generator, command: Command, epoch: Any) -> list[dict[str, Any]]:
    assert generator.process.stdin is not None
    (asked,) = generator.ask(command)
    assert asked["event"] == "standing by"
    return generator.ask(json.dumps({"epoch": epoch}))


@pytest.mark.parametrize("client", ["compiled", "lean"])
def test_a_trial_in_turns_sends_within_its_slices_only(
    generator: Generator, trial: Callable[..., Command], stub: Callable[[str], int], client: str
) -> None:
    fields = {
        "begins": [0.0, 0.2, 0.4],
        "lengths": [0.05, 0.05, 0.1],
        "measured_from": 0.15,
        "measured_to": 0.6,
    }
    (asked,) = generator.ask(trial(stub("hello"), client=client, turns=fields))
    assert asked["event"] == "standing by"
    epoch = time.monotonic() + 0.3
    begun, ended, done = generator.ask(json.dumps({"epoch": epoch}))
    timetable = Timetable.read(fields, epoch)
    assert begun["at"] >= timetable.window[0]
    assert ended["at"] >= timetable.window[1]
    assert done["window"] == [begun["at"], ended["at"]]
    rows = np.load(done["file"])
    assert len(rows) == done["requests_total"] == done["verified"]
    assert 0 <= done["sent"] - len(rows) <= 4  # each user may have been stopped while it waited
    sent = rows[:, 0] - rows[:, 1] / 1e6
    assert all(timetable.wait_s(at - 0.02) == 0 or timetable.wait_s(at) == 0 for at in sent)


def test_a_malformed_timetable_is_refused(
    generator: Generator, trial: Callable[..., Command], stub: Callable[[str], int]
) -> None:
    (failed,) = in_turns(generator, trial(stub("hello"), turns={"begins": [0.05]}), 1.0)
    assert failed["event"] == "failed"
    assert "begins, lengths" in failed["hint"]
