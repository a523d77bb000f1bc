"""What makes the noise: a process of its own, that requests the noisy tenant's scripts.

    python -m harness.neighbour.noise_source

It reads one JSON object a line from stdin and answers with JSON lines on stdout:

    {"host": "127.0.0.1", "port": 8080, "key": null, "tenant": {"name": "t0002", ...},
     "script": "hello.py", "connections": 8, "slow": false}
                        {"event": "noisy"}
    {"stop": true}      {"event": "quiet", "done": 17, "refused": 2, "first_refusal": "status 500"}

`tenant` has the fields of `tenants.Tenant`, `key` the path of the clients' key. `done` counts
answers with status 200, of `slow` noise the connections that were held until the end; `refused` all
other requests. It ends when stdin ends, and with it all connections. It gives way to everybody
else (nice(2)), so that the one who measures is not kept waiting.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from harness.attack.visitors.raw_http import Door, request
from harness.host.surroundings import clean_environment
from harness.neighbour.noises import Noise
from harness.target.line_process import Gone, Message, Speaking
from harness.target.server import Server
from workloads.tenants import Tenant

_LEAST_URGENT: Final = 19
_PAUSE_S: Final = 0.01
_DRIP_S: Final = 0.05
_ANSWERED_S: Final = 3.0
_PATIENCE_S: Final = 20.0
_STOP_S: Final = 5.0
_CHUNK: Final = 65536


@dataclass(frozen=True)
class Made:
    """How much noise there was: what was done, what was refused, and the first refusal."""

    done: int = 0
    refused: int = 0
    first_refusal: str = ""


class NoiseSourceFailed(Exception):
    """The process that makes the noise is gone."""


class NoiseSource:
    """A context around the process; its processors are `cpus`, its messages go to `log`."""

    def __init__(self, cpus: tuple[int, ...], log: Path) -> None:
        self._cpus = cpus
        self._log = log

    def __enter__(self) -> Self:
        path = os.pathsep.join(path for path in sys.path if path)
        self._process = Speaking(
            [sys.executable, "-P", "-m", __name__],
            self._log,
            environment=clean_environment({"PYTHONPATH": path}),
            # Whoever presses Ctrl-C means the whole command; it ends with its stdin.
            own_session=True,
        )
        if self._cpus:
            os.sched_setaffinity(self._process.pid, self._cpus)
        return self

    def start(
        self,
        noise: Noise,
        server: Server,
        workers: int,
        tenant: Tenant,
        key: Path | None,
        host: str | None = None,
    ) -> None:
        """Begin to make a noise. Raises NoiseSourceFailed.

        `key` is that of the clients, `host` the tenant's own address, if it has one.
        """
        command = {
            "host": host or server.host,
            "port": server.port,
            "key": None if key is None else str(key),
            "tenant": {**vars(tenant), "site": str(tenant.site)},
            "script": noise.script,
            "connections": noise.connections_to(workers),
            "slow": noise.slow,
        }
        self._ask(command)

    def stop(self) -> Made:
        """End it, and return how much there was. Raises NoiseSourceFailed."""
        answer = self._ask({"stop": True})
        return Made(answer["done"], answer["refused"], answer["first_refusal"])

    def _ask(self, command: Message) -> Message:
        try:
            self._process.tell(json.dumps(command))
            return self._process.hear(_PATIENCE_S)
        except Gone:
            raise NoiseSourceFailed(self._process.last_line() or "it has ended") from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.stop(_STOP_S)


@dataclass
class _Noise:
    """A noise under way: one thread a connection."""

    door: Door
    tenant: Tenant
    script: str
    slow: bool
    over: threading.Event = field(default_factory=threading.Event)
    broken: bool = False
    made: Made = Made()
    lock: threading.Lock = field(default_factory=threading.Lock)
    open: set[socket.socket] = field(default_factory=set)
    threads: list[threading.Thread] = field(default_factory=list)

    @classmethod
    def of(cls, command: Mapping[str, Any]) -> _Noise:
        fields = command["tenant"]
        tenant = Tenant(**{**fields, "site": Path(fields["site"])})
        key = Path(command["key"]) if command["key"] else None
        door = Door.of(command["host"], command["port"], key)
        noise = cls(door, tenant, command["script"], command["slow"])
        for _ in range(command["connections"]):
            thread = threading.Thread(target=noise.repeat, daemon=True)
            noise.threads.append(thread)
            thread.start()
        return noise

    def end(self) -> Made:
        """Wait for the answers under way, or break them off, and return what was made.

        Scripts end by themselves; only slow connections, and answers that do not come, are broken.
        """
        self.over.set()
        deadline = time.monotonic() + (0.0 if self.slow else _ANSWERED_S)
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.broken = True
        with self.lock:
            for connection in self.open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        return self.made

    def repeat(self) -> None:
        """Make one request after the other."""
        while not self.over.is_set():
            try:
                refusal = self._once()
            except OSError as error:
                refusal = error.strerror or type(error).__name__
            if self.broken and refusal:
                return  # we have done that ourselves
            self._count(refusal)
            if refusal:
                time.sleep(_PAUSE_S)

    def _count(self, refusal: str) -> None:
        with self.lock:
            before = self.made
            if refusal:
                first = before.first_refusal or refusal
                self.made = replace(before, refused=before.refused + 1, first_refusal=first)
            else:
                self.made = replace(before, done=before.done + 1)

    def _once(self) -> str:
        """Make a request; return why it was refused, "" where it was not. Raises OSError."""
        connection = self.door.connect(self.tenant)
        with self.lock:
            self.open.add(connection)
        try:
            with connection:
                text = request(self.tenant, f"/{self.script}", {})
                return self._hold(connection, text) if self.slow else _ask(connection, text)
        finally:
            with self.lock:
                self.open.discard(connection)

    def _hold(self, connection: socket.socket, text: bytes) -> str:
        """Send a byte now and then, until the noise is over or the server has had enough."""
        head = text.removesuffix(b"\r\n") + b"X-Slow: "
        connection.sendall(head[:1])
        for byte in (*head[1:], *b"x" * 10_000):
            if self.over.wait(_DRIP_S):
                return ""
            connection.sendall(bytes([byte]))
        return "the request was long enough"


def _ask(connection: socket.socket, text: bytes) -> str:
    connection.sendall(text)
    first = received = connection.recv(_CHUNK)
    while received:
        received = connection.recv(_CHUNK)
    status = first[9:12].decode("latin-1")
    if status == "200":
        return ""
    return f"status {status}" if status else "no answer"


def main() -> None:
    """Make noises until stdin ends."""
    os.nice(_LEAST_URGENT)
    noise: _Noise | None = None
    for line in sys.stdin:
        command = json.loads(line)
        if "stop" in command:
            made = noise.end() if noise is not None else Made()
            print(json.dumps({"event": "quiet", **vars(made)}), flush=True)
        else:
            noise = _Noise.of(command)
            print(json.dumps({"event": "noisy"}), flush=True)


if __name__ == "__main__":
    main()
