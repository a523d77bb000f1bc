"""What the load generator can reach at most: its rate against a responder that does nothing.

A rate near the ceiling measures the generator, not the target (rule 4 of docs/measuring.md).
So in each block, for each closed load, a trial is made of `servers.null_responder`, with the same
requests, users and connections, and with answers of the same size that carry the proofs which the
client checks. Pure but for writing the answers down.

**Which replies?** A workload knows its right answer but for a few bytes in the middle that vary
(a version, a number of visits). Where even the length varies, `TYPICAL_BYTES` stand in.

**Client identities.** Where a target goes by the client's identity, the generator does more for
each connection, so such targets have a ceiling of their own, `null:client`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.host.cgroup import ProcessGroup
from harness.results.conditions import CEILING
from harness.target.server import Server, Site
from harness.target.targets import Target, server_command
from workloads.catalog import Connection, Workload
from workloads.load.spec import Load, asks
from workloads.proof import Proof, proof_line

NULL = "null"
NULL_CLIENT = "null:client"

TYPICAL_BYTES = 160
"""Length of an answer after its proof line, where a workload does not tell: imports has 80 bytes,
sqlite 120, whoami 600."""

MOST_TENANTS = 1_000
"""To how many tenants requests go: with more, only the responder's memory would grow."""


def nulls(runs_as: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the responders that targets with these identities need."""
    identities = set(runs_as)
    plain = (NULL,) if identities - {"client"} else ()
    return (*plain, *((NULL_CLIENT,) if "client" in identities else ()))


def is_null(target: str) -> bool:
    """Return whether a target is the null responder."""
    return target in (NULL, NULL_CLIENT)


def null_target(name: str) -> Target:
    """Return the null responder as a target."""
    return Target(
        name=name,
        mode=NULL,
        precedent="none",
        runs_as="client" if name == NULL_CLIENT else "owner",
        summary="Answers what it was told to, and does nothing else.",
        options={},
        kind=CEILING,
    )


def answer_to(workload: Workload, proof: Proof, connection: Connection) -> bytes:
    """Return a whole right reply: the headers that a mode sends, the proof, and what follows."""
    expected = workload.expects(proof.tenant)
    around = len(expected.head) + len(expected.tail)
    length = max(TYPICAL_BYTES, around) if expected.length is None else expected.length
    filler = b"." * (length - around)
    line = proof_line(proof.tenant, proof.identity)
    body = b"".join((line, expected.head, filler, expected.tail))
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
        f"Connection: {connection}\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def answers(load: Load) -> str:
    """Return the text of the file from which the responder takes its answers to this load."""
    entries = []
    for ask, proof in zip(asks(load), load.tenants, strict=True):
        head, empty_line, _body = ask.request.partition(b"\r\n\r\n")
        entries.append(
            {
                "head": (head + empty_line).decode("latin-1"),
                "length": len(ask.request),
                "answer": answer_to(load.workload, proof, load.connection).decode("latin-1"),
            }
        )
    return json.dumps({"connection": load.connection, "answers": entries})


class NullServer(Server):
    """The null responder as a running process, in the place of a target's server."""

    def __init__(self, target: Target, site: Site, processes: ProcessGroup, answers: Path) -> None:
        super().__init__(target, site, processes)
        self._answers = answers

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Return the command of the responder, and its environment."""
        (*python, _package), environment = server_command()
        return [*python, "servers.null_responder", *self._own_arguments()], environment

    def _own_arguments(self) -> Sequence[str]:
        site = self._site
        arguments = ["--answers", str(self._answers)]
        if site.privileged:
            arguments += ["--www", f"{site.www_uid}:{site.www_gid}"]
        if site.cpus:
            arguments += ["--cpus", ",".join(map(str, site.cpus))]
        return arguments
