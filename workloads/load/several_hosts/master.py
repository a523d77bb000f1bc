"""Load from several generators: a process that speaks as `generator` does, as Locust's master.

    python -m workloads.load.several_hosts.master ADDRESS PORT KEYFILE VERSION

It binds to the address, and takes generators (`worker`) that have the key and the same version of
isobench. On stdin and stdout it goes as with `generator`, one JSON object a line, with these:

    (at the start)     {"event": "ready", "locust": "2.32.0", "gevent": "24.11.1", "port": 5557}
    {"gather": 2, "within_s": 60}
                       {"event": "gathered", "generators": [{"host": "a", "id": ...}, ...]}
    {"trial": ID, LOAD, "warmup_s": 0.5, "measure_s": 2.0, "link": [HOST, PORT]}
                       {"event": "measuring", "trial": ID, "at": T}
                       {"event": "measured", "trial": ID, "at": T}
                       {"event": "done", "trial": ID, "generators": [{...}, ...]}

`measuring` comes when all generators measure, `measured` when the first of them has ended; `done`
has what each saw (`worker`). Where a generator is lost, or takes much longer than it should, the
trial has `failed`, and the next one continues with those that are left.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust import User, runners, task
from locust.env import Environment
from locust.runners import MasterRunner

from workloads.credential import read_key
from workloads.errors import WorkloadError
from workloads.load.generator import emit, parse, tie_to_parent
from workloads.load.several_hosts.sealed import PREFIX, Unsealed, open_sealed, seal
from workloads.load.several_hosts.worker import USERS

VERIFY_S, START_S, LATE_S = 45.0, 10.0, 10.0
"""How much longer than planned a part of a trial may take: verification, starting, the rest."""
HERE = (runners.STATE_INIT, runners.STATE_SPAWNING, runners.STATE_RUNNING)
SAID = ("ready", "measuring", "measured", "outcome", "failed")


class GeneratorLost(WorkloadError):
    """A generator does not answer any more."""


class Placeholder(User):
    """What the master takes the generators' users for: it makes none itself."""

    abstract = True

    @task
    def ask(self) -> None:
        """Leave it to the workers."""


class Master:
    """The conversation with all generators."""

    def __init__(self, runner: MasterRunner, key: bytes, own_version: str) -> None:
        self._runner = runner
        self._key = key
        self._version = own_version
        self._challenges: dict[str, str] = {}
        self._hosts: dict[str, str] = {}
        self._refused: list[str] = []
        self._said: dict[tuple[str, str], dict[str, Any]] = {}
        self._trial = ""
        self._news = Event()
        runner.register_message(f"{PREFIX}hello", self._on_hello)
        for kind in SAID:
            runner.register_message(f"{PREFIX}{kind}", self._listener(kind))

    def _on_hello(self, environment: Environment, msg: Any, **_rest: object) -> None:
        data = msg.data if isinstance(msg.data, dict) else {}
        host, challenge = str(data.get("host", "?")), str(data.get("challenge", ""))
        try:
            hello = open_sealed(self._key, "hello", "", data)
        except Unsealed:
            # It cannot open what we seal either, and says so when it tries.
            self._refuse(msg.node_id, host, challenge, "it has another key", "")
            return
        challenge, theirs = hello["challenge"], hello["version"]
        if theirs != self._version:
            self._refuse(
                *(msg.node_id, host, challenge),
                f"it has isobench {theirs}, and the master {self._version}",
                "Install the same version of isobench on all hosts.",
            )
            return
        self._challenges[msg.node_id], self._hosts[msg.node_id] = challenge, host
        self._tell(msg.node_id, "welcome", {})
        self._news.set()

    def _refuse(self, node: str, host: str, challenge: str, reason: str, hint: str) -> None:
        self._refused.append(f"{host}: {reason}")
        self._challenges[node] = challenge
        self._tell(node, "refused", {"reason": f"the master refuses: {reason}", "hint": hint})
        del self._challenges[node]
        self._runner.clients.pop(node, None)  # else Locust would give it users
        self._news.set()

    def _listener(self, kind: str) -> Callable[..., None]:
        def on_message(environment: Environment, msg: Any, **_rest: object) -> None:
            challenge = self._challenges.get(msg.node_id)
            if challenge is None:
                return
            try:
                fields = open_sealed(self._key, kind, challenge, msg.data)
            except Unsealed:
                return
            if fields.pop("trial") == self._trial:  # else of one that was given up
                self._said[msg.node_id, kind] = fields
                self._news.set()

        return on_message

    def _tell(self, node: str, kind: str, fields: dict[str, Any]) -> None:
        message = seal(self._key, kind, self._challenges[node], fields)
        self._runner.send_message(f"{PREFIX}{kind}", message, client_id=node)

    def here(self) -> list[str]:
        """Return the generators that can be reached now, in a lasting order."""
        clients = self._runner.clients
        return [
            node for node in self._challenges if node in clients and clients[node].state in HERE
        ]

    def gather(self, count: int, within_s: float) -> list[dict[str, str]]:
        """Wait for so many generators and return who they are. Raises WorkloadError."""
        deadline = time.monotonic() + within_s
        while len(self.here()) < count:
            if time.monotonic() > deadline:
                refused = f" (refused: {'; '.join(self._refused)})" if self._refused else ""
                raise WorkloadError(
                    f"only {len(self.here())} of {count} load generators connected within "
                    f"{within_s:g} s{refused}",
                    hint="start isobench generate --master HOST --key FILE on their hosts",
                )
            self._wait(0.5)
        return [{"id": node, "host": self._hosts[node]} for node in self.here()]

    def trial(self, command: dict[str, Any]) -> None:
        """Have all generators that are here make a trial together. Raises WorkloadError."""
        self._said.clear()
        self._trial = name = str(command["trial"])
        nodes = self.here()
        users = int(command.get("users", 1))
        if not nodes:
            raise GeneratorLost(
                "no load generator is left",
                hint="start isobench generate again; then continue with --resume",
            )
        if users < len(nodes):
            raise WorkloadError(
                f"{users} users cannot be divided among {len(nodes)} generators",
                hint="give at least one user to each: --load closed:N, or --outstanding N",
            )
        try:
            self._carry_out(command, nodes, users, name)
        finally:
            self._trial = ""
            self._stop()

    def _carry_out(
        self, command: dict[str, Any], nodes: Sequence[str], users: int, name: str
    ) -> None:
        for index, node in enumerate(nodes):
            self._tell(node, "trial", {**command, "index": index, "parts": len(nodes)})
        self._await(nodes, "ready", VERIFY_S)
        self._runner.start(users, spawn_rate=users)
        for node in nodes:
            self._tell(node, "measure", {"trial": name})
        warmup_s, measure_s = float(command["warmup_s"]), float(command["measure_s"])
        self._await(nodes, "measuring", warmup_s + START_S)
        emit("measuring", trial=name, at=time.monotonic())
        self._await(nodes, "measured", measure_s + LATE_S, enough=1)
        emit("measured", trial=name, at=time.monotonic())
        drain_s = float(command.get("drain_s", 5.0))
        self._await(nodes, "outcome", measure_s + drain_s + LATE_S)
        parts = [{"host": self._hosts[node], **self._said[node, "outcome"]} for node in nodes]
        emit("done", trial=name, generators=parts)

    def _await(
        self, nodes: Sequence[str], kind: str, patience_s: float, enough: int | None = None
    ) -> None:
        """Wait until so many have said it, all unless told otherwise. Raises WorkloadError."""
        deadline = time.monotonic() + patience_s
        wanted = len(nodes) if enough is None else enough
        while sum((node, kind) in self._said for node in nodes) < wanted:
            for node in nodes:
                if failed := self._said.get((node, "failed")):
                    raise Failed(self._hosts[node], failed)
            if lost := [node for node in nodes if node not in self.here()]:
                raise self._lost(lost[0], "is gone, or cannot be reached")
            if time.monotonic() > deadline:
                silent = [node for node in nodes if (node, kind) not in self._said]
                raise self._lost(silent[0], f"did not say {kind!r} within {patience_s:g} s")
            self._wait(0.2)

    def _lost(self, node: str, what: str) -> GeneratorLost:
        return GeneratorLost(
            f"the load generator on {self._hosts[node]} {what}",
            hint="check its host and the network between; the run continues with the others",
        )

    def _wait(self, seconds: float) -> None:
        self._news.wait(seconds)
        self._news.clear()

    def _stop(self) -> None:
        """Have all users stopped. Of those that are lost, Locust would wait for a minute."""
        for client in self._runner.clients.all:
            if client.state not in HERE:
                client.user_classes_count = {}
        stopping = gevent.spawn(self._runner.stop)
        stopping.join(LATE_S)
        if not stopping.ready():
            stopping.kill()
            self._runner.update_state(runners.STATE_STOPPED)
        deadline = time.monotonic() + LATE_S
        # A worker that has stopped leaves, and comes back at once.
        while time.monotonic() < deadline and any(
            client.state in (runners.STATE_RUNNING, runners.STATE_SPAWNING)
            for client in self._runner.clients.all
        ):
            gevent.sleep(0.05)


class Failed(WorkloadError):
    """A generator could not make its part of a trial."""

    def __init__(self, host: str, fields: dict[str, Any]) -> None:
        super().__init__(f"{host}: {fields['reason']}", hint=fields["hint"])
        self.evidence = fields.get("evidence")


def serve(master: Master, line: str) -> None:
    """Carry out one command; whatever is wrong with it becomes a `failed` event."""
    subject: dict[str, Any] = {}
    try:
        command = parse(line)
        subject = {key: command[key] for key in ("trial", "gather") if key in command}
        if "gather" in command:
            found = master.gather(int(command["gather"]), float(command["within_s"]))
            emit("gathered", generators=found)
        elif "trial" in command:
            master.trial(command)
        else:
            raise WorkloadError("an unknown command", hint="known commands: gather and trial")
    except WorkloadError as error:
        evidence = getattr(error, "evidence", None)
        emit("failed", **subject, reason=str(error), hint=error.hint, evidence=evidence)


def main() -> int:
    """Serve commands until stdin ends, then send the generators home."""
    tie_to_parent()
    address, port, key, own_version = sys.argv[1:]
    users = type(USERS, (Placeholder,), {"abstract": False})
    environment = Environment(user_classes=[users])
    runner = environment.create_master_runner(address, int(port))
    master = Master(runner, read_key(Path(key)), own_version)
    emit("ready", locust=version("locust"), gevent=version("gevent"), port=runner.server.port)
    while line := gevent.get_hub().threadpool.apply(sys.stdin.readline):
        serve(master, line)
    runner.quit()
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # a thread of the pool may still wait for a line
