"""The workloads: which script is asked for, how, and what a right reply looks like.

What a right reply looks like is worked out once a tenant, before the load, so that the check of a
reply under load is a comparison of bytes. Only a wrong reply is looked at closely.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from workloads.proof import Identity, Proof, explain_difference, parse, proof_line

SITES = Path(__file__).with_name("sites")
"""Where the templates of the scripts are."""

UPLOAD = bytes(range(256)) * 256
"""The 64 KiB that `upload` sends."""

TEMPLATE_PAGE_BYTES = 20_536
"""Length of the page of `sites/template.py` for a tenant without a name, which it holds twice."""

Connection = Literal["close", "keep-alive"]
"""What becomes of a connection after a reply."""

Check = Callable[[int, bytes], str | None]
"""(status, body) of a reply to None if it is right, else to the reason in plain words."""


class Answer(NamedTuple):
    """What follows the proof line in a right reply.

    It begins with `head` and ends with `tail`; `length` counts its bytes, and is None where it
    varies.
    """

    head: bytes
    tail: bytes
    length: int | None


@dataclass(frozen=True)
class Workload:
    """A script and the requests for it.

    `expects` maps a tenant's name to the answer that its script gives.
    """

    name: str
    script: str
    expects: Callable[[str], Answer]
    method: str = "GET"
    query: str = ""
    body: bytes = b""

    @property
    def source(self) -> Path:
        """The template from which each tenant's script is made."""
        return SITES / self.script

    @property
    def path(self) -> str:
        """The request target: the same path in each tenant's site."""
        return f"/{self.script}?{self.query}" if self.query else f"/{self.script}"

    def headers(self, tenant: str, connection: Connection) -> dict[str, str]:
        """Return the header fields of a request to a tenant; the Host field names the tenant."""
        fields = {
            "Host": f"{tenant}.localhost",
            "User-Agent": "isobench",
            "Accept": "*/*",
            "Connection": connection,
        }
        if self.method == "POST":
            fields["Content-Type"] = "application/octet-stream"
            fields["Content-Length"] = str(len(self.body))
        return fields

    def request(self, tenant: str, connection: Connection) -> bytes:
        """Return the whole HTTP/1.1 request to a tenant, ready to send."""
        fields = [f"{name}: {value}" for name, value in self.headers(tenant, connection).items()]
        head = "\r\n".join([f"{self.method} {self.path} HTTP/1.1", *fields, "", ""])
        return head.encode("ascii") + self.body

    def right_body(self, expected: Proof) -> Answer:
        """Return what the whole body of a right reply is, its proof line included."""
        line = proof_line(expected.tenant, expected.identity)
        answer = self.expects(expected.tenant)
        length = None if answer.length is None else len(line) + answer.length
        return Answer(line + answer.head, answer.tail, length)

    def check(self, expected: Proof, server: Identity | None = None) -> Check:
        """Return the check of the replies that must carry this proof.

        `server` is the server's own identity, if known, for a clearer reason.
        """
        head, tail, length = self.right_body(expected)

        def check(status: int, body: bytes) -> str | None:
            if (
                status == 200
                and body.startswith(head)
                and body.endswith(tail)
                and (length is None or len(body) == length)
            ):
                return None
            if status != 200:
                return f"status {status} instead of 200"
            if difference := explain_difference(expected, parse(body), server):
                return difference
            if length is not None and len(body) != length:
                return f"the body is {len(body)} bytes long instead of {length}"
            part = "begin" if not body.startswith(head) else "end"
            return f"after a right proof, the body does not {part} as {self.script} makes it"

        return check


def exactly(text: str) -> Answer:
    """Return the answer that is just this text."""
    data = text.encode("ascii")
    return Answer(data, b"", len(data))


def _template(tenant: str) -> Answer:
    return Answer(b"<!DOCTYPE html>\n", b"</html>\n", TEMPLATE_PAGE_BYTES + 2 * len(tenant))


def _upload(tenant: str) -> Answer:
    digest = hashlib.sha256(UPLOAD).hexdigest()
    return exactly(f"{tenant} received {len(UPLOAD)} bytes\nsha256 {digest}\n")


_ALL = (
    Workload("hello", "hello.py", lambda tenant: exactly(f"Hello from {tenant}\n")),
    Workload("whoami", "whoami.py", lambda tenant: Answer(b'{"real": {', b"}\n", None)),
    Workload("template", "template.py", _template),
    Workload("imports", "imports.py", lambda tenant: Answer(b"json ", b"\n", None)),
    Workload("sqlite", "sqlite.py", lambda tenant: Answer(b"visit ", b"\n", None)),
    Workload("upload", "upload.py", _upload, method="POST", body=UPLOAD),
)

WORKLOADS: dict[str, Workload] = {workload.name: workload for workload in _ALL}
