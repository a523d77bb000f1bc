"""What a server's host says of the server, asked over the network: `isobench serve --probe PORT`.

Two questions, over HTTP, each sealed (`workloads.load.several_hosts.sealed`):

    GET /about      what is served: the target, its tenants, the host, the version of isobench
    GET /reading    what the server and the host have used so far (`probes.Reading`), and memory

Times in a reading are by the server's host; only their differences are used.
"""

from __future__ import annotations

import http.client
import json
import secrets
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from harness.errors import IsobenchError
from harness.host.cgroup import ProcessGroup
from harness.target import probes
from harness.target.server import Server, ServerFailed, ServerUsage
from harness.target.targets import Target
from workloads import tenants
from workloads.load.several_hosts.sealed import Unsealed, open_sealed, seal
from workloads.proof import Identity

NONCE: Final = "X-Isobench-Nonce"
SEAL: Final = "X-Isobench-Seal"
_PATIENCE_S: Final = 5.0
_UNAUTHORIZED: Final = 401
_GONE: Final = 503
_LONGEST: Final = 64 << 20
"""Bytes of an answer: those of 10,000 tenants are two million."""

Answer = Callable[[], Mapping[str, Any]]


class ProbeFailed(IsobenchError):
    """The probe does not answer, or the server that it watches is gone."""


def about(
    target: Target,
    settled: tenants.Manifest,
    workers: int,
    machine: Mapping[str, object],
    version: str,
) -> dict[str, Any]:
    """Return what a run on another host needs to know of a server."""  # fmt: skip
    facts = ("name", "mode", "precedent", "runs_as", "summary", "kind", "language", "in_own_group")
    return {
        "isobench": version,
        "target": {name: getattr(target, name) for name in facts},
        "workers": workers,
        "www": vars(settled.www),
        "tenants": [{**vars(one), "site": str(one.site)} for one in settled.tenants],
        "machine": dict(machine),
    }


def reading(server: Server, processes: ProcessGroup) -> dict[str, Any]:
    """Return what was used so far. Raises ServerFailed."""
    found = asdict(probes.read(server, processes))
    del found["host"]
    pids = probes.processes_of(server, processes)
    return {**found, "processes": len(pids), "memory_mib": probes.memory_mib(pids)}


class _Server(ThreadingHTTPServer):
    """A thread for each client: one that is slow must not keep the others waiting."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone, and the usual of all else."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@contextmanager
def serving(host: str, port: int, key: bytes, answers: Mapping[str, Answer]) -> Iterator[int]:
    """Answer questions, by their path, in a thread; yield the port. Raises IsobenchError."""
    one_at_a_time = threading.Lock()  # the server is asked through one pipe

    class Handler(BaseHTTPRequestHandler):
        timeout = _PATIENCE_S

        def do_GET(self) -> None:  # the name that http.server calls
            with one_at_a_time:
                answer = _answer(self.path, dict(self.headers.items()), key, answers)
            self.send(*answer)

        def send(self, status: int, content: Mapping[str, Any]) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing: whoever looks at the link connects and goes."""

    try:
        server = _Server((host, port), Handler)
    except OSError as error:
        raise IsobenchError(
            f"the probe cannot listen on {host}:{port}: {error.strerror}",
            hint="choose another --probe, or 0 for any free port",
        ) from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(
    path: str, headers: Mapping[str, str], key: bytes, answers: Mapping[str, Answer]
) -> tuple[int, Mapping[str, Any]]:
    nonce = headers.get(NONCE, "")
    message = {"text": "{}", "seal": headers.get(SEAL, "")}
    try:
        open_sealed(key, path, nonce, message)
        answer = answers[path]
    except (Unsealed, KeyError):
        return _UNAUTHORIZED, {}
    try:
        return http.client.OK, seal(key, path, nonce, answer())
    except ServerFailed as error:
        return _GONE, seal(key, path, nonce, {"reason": str(error), "hint": error.hint})


@dataclass(frozen=True)
class Served:
    """What is served elsewhere, as its host says."""

    isobench: str
    target: Target
    workers: int
    settled: tenants.Manifest
    machine: Mapping[str, Any]


@dataclass(frozen=True)
class RemoteReading:
    """A reading, with memory and the number of processes."""

    probe: probes.Reading
    processes: int
    memory_mib: float


@dataclass(frozen=True)
class RemoteProbe:
    """The probe of another host."""

    host: str
    port: int
    key: bytes

    def about(self) -> Served:
        """Ask what is served. Raises ProbeFailed."""
        facts = self._ask("/about")
        try:
            return _served(facts)
        except (KeyError, TypeError, AttributeError) as error:
            raise ProbeFailed(
                f"the server's host has isobench {facts.get('isobench')}, whose answer cannot be "
                "read here",
                hint="install the same version of isobench on all hosts",
            ) from error

    def reading(self) -> RemoteReading:
        """Ask what was used so far. Raises ProbeFailed."""
        facts = dict(self._ask("/reading"))
        processes, memory_mib = facts.pop("processes"), facts.pop("memory_mib")
        usage = ServerUsage(**facts.pop("server"))
        return RemoteReading(probes.Reading(server=usage, **facts), processes, memory_mib)

    def _ask(self, path: str) -> Mapping[str, Any]:
        nonce = secrets.token_hex(16)
        headers = {NONCE: nonce, SEAL: seal(self.key, path, nonce, {})["seal"]}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_PATIENCE_S)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            text = response.read(_LONGEST + 1)
        except (OSError, http.client.HTTPException) as error:
            raise ProbeFailed(
                f"no probe answers at {self.host}:{self.port}: "
                f"{getattr(error, 'strerror', None) or error}",
                hint="start the server with isobench serve MODE --host ADDRESS --probe PORT",
            ) from error
        finally:
            connection.close()
        if response.status == _UNAUTHORIZED:
            raise ProbeFailed(
                f"the probe at {self.host}:{self.port} has another key",
                hint="copy the server's key file, and give it with --key",
            )
        facts = self._opened(path, nonce, text)
        if response.status != http.client.OK:
            raise ProbeFailed(facts["reason"], hint=facts["hint"])
        return facts

    def _opened(self, path: str, nonce: str, text: bytes) -> Mapping[str, Any]:
        """Open an answer. Raises ProbeFailed for that of something else, or with another key."""
        try:
            return open_sealed(self.key, path, nonce, json.loads(text))
        except (ValueError, RecursionError) as error:
            raise ProbeFailed(
                f"what answers at {self.host}:{self.port} is no probe of isobench",
                hint="give the port that isobench serve --probe has named, with --probe",
            ) from error
        except Unsealed as error:
            raise ProbeFailed(str(error), hint=error.hint) from error


def _served(facts: Mapping[str, Any]) -> Served:
    """Read what is served. Raises KeyError, TypeError and AttributeError."""
    settled = tenants.Manifest(
        Path("/"), _identity(facts["www"]), tuple(_tenant(one) for one in facts["tenants"])
    )
    target = Target(**facts["target"], options={})
    return Served(facts["isobench"], target, facts["workers"], settled, facts["machine"])


def _identity(fields: Mapping[str, Any]) -> Identity:
    return Identity(fields["uid"], fields["gid"], tuple(fields["groups"]))


def _tenant(fields: Mapping[str, Any]) -> tenants.Tenant:
    site, groups = Path(fields["site"]), tuple(fields["groups"])
    return tenants.Tenant(fields["name"], fields["uid"], fields["gid"], site, groups)
