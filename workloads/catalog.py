"""The workloads: which script is asked for, how, and what a right reply looks like.

What a right reply looks like is worked out once a tenant, before the load, so that the check of a
reply under load is a comparison of bytes. Only a wrong reply is looked at closely.
"""

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, NamedTuple

from workloads.errors import WorkloadError
from workloads.proof import Identity, Proof, explain_difference, parse, proof_line

SITES = Path(__file__).with_name("sites")
"""Where the templates of the scripts are."""

UPLOAD = bytes(range(256)) * 256
"""The 64 KiB that `upload` sends."""

TEMPLATE_PAGE_BYTES = 20_536
"""Length of the page of `sites/template.py` for a tenant without a name, which it holds twice."""

PAGE_BYTES = 20_415
"""Length of the page of `sites/page.py` without its number of microseconds and tenant's name."""

SHORTEST_PAGE_US, LONGEST_PAGE_US = 50, 10_000_000

_PAGE = re.compile(r"page:(\d+(?:\.\d+)?)(us|ms|s)")
_MICROSECONDS = {"us": 1, "ms": 1_000, "s": 1_000_000}

SUFFIXES = {"python": ".py", "php": ".php", "perl": ".pl"}
"""How the names of scripts end, by their language."""

Connection = Literal["close", "keep-alive"]
"""How a connection is handled after a reply."""

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

    def written_in(self, language: str) -> "Workload":
        """Return the workload with its script in another language, whose answers are the same.

        Raises `WorkloadError` where there is no such script.
        """
        workload = replace(self, script=Path(self.script).stem + SUFFIXES[language])
        if not workload.source.exists():
            there = sorted(path.stem for path in SITES.glob(f"*{SUFFIXES[language]}"))
            raise WorkloadError(
                f"there is no script for {self.name} in {language}",
                hint=f"in {language} there are: {', '.join(there)}",
            )
        return workload

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


def page(microseconds: int) -> Workload:
    """Return the page that takes so much CPU time of its own, at the host's best speed.

    The script does fixed work and never looks at a clock; `harness.trial.beside.page_pace` finds
    out how much work that is. An amount of CPU time would hide what slows scripts down: on a host
    that halves its speed, a page of real life takes twice as long.
    """

    def answer(tenant: str) -> Answer:
        head = f"<!DOCTYPE html>\n<title>{microseconds} us of {tenant}</title>\n".encode("ascii")
        length = PAGE_BYTES + len(str(microseconds)) + len(tenant)
        return Answer(head, b"</html>\n", length)

    name = f"page:{_span(microseconds)}"
    return Workload(name, "page.py", answer, query=f"us={microseconds}")


def _span(microseconds: int) -> str:
    """Return the shortest way of writing it in whole microseconds, milliseconds or seconds."""
    units = sorted(_MICROSECONDS.items(), key=lambda unit: -unit[1])
    unit, size = next((unit, size) for unit, size in units if microseconds % size == 0)
    return f"{microseconds // size}{unit}"


def page_us(name: str) -> int | None:
    """Return the microseconds of a page by its workload's name; None of another workload."""
    match = _PAGE.fullmatch(name)
    amount = float(match[1]) * _MICROSECONDS[match[2]] if match else math.inf
    return round(amount) if math.isfinite(amount) else None  # of too many digits


_ALL = (
    Workload("hello", "hello.py", lambda tenant: exactly(f"Hello from {tenant}\n")),
    Workload("whoami", "whoami.py", lambda tenant: Answer(b'{"real": {', b"}\n", None)),
    Workload("template", "template.py", _template),
    Workload("imports", "imports.py", lambda tenant: Answer(b"json ", b"\n", None)),
    Workload("sqlite", "sqlite.py", lambda tenant: Answer(b"visit ", b"\n", None)),
    Workload("upload", "upload.py", _upload, method="POST", body=UPLOAD),
    page(5_000),
)

WORKLOADS: dict[str, Workload] = {workload.name: workload for workload in _ALL}
"""Those by name that there are without a parameter, and one page; `find` makes the others."""


def find(name: str) -> Workload:
    """Return the workload of this name, such as hello or page:20ms. Raises `WorkloadError`."""
    if name in WORKLOADS:
        return WORKLOADS[name]
    if name.partition(":")[0] != "page":
        plain = [known for known in WORKLOADS if page_us(known) is None]
        near = get_close_matches(name.lower(), plain, n=1)
        raise WorkloadError(
            f"unknown workload {name!r}",
            hint=f"did you mean {near[0]}?"
            if near
            else f"known workloads: {', '.join(plain)}, page:5ms",
        )
    microseconds = page_us(name)
    if microseconds is None or not SHORTEST_PAGE_US <= microseconds <= LONGEST_PAGE_US:
        raise WorkloadError(
            f"the CPU time in {name!r} is missing or out of range",
            hint="write it like page:200us, page:5ms or page:1s; "
            f"from {SHORTEST_PAGE_US} µs to {LONGEST_PAGE_US // 1_000_000} s",
        )
    return page(microseconds)


def parts(name: str) -> list[str]:
    """Return the names in one that stands for several workloads, as in hello+page:5ms."""
    return name.split("+")


def scripts(language: str) -> list[Workload]:
    """Return the workloads that have a script in a language, with it."""
    known = (workload for workload in WORKLOADS.values())
    in_language = (replace(one, script=Path(one.script).stem + SUFFIXES[language]) for one in known)
    return [workload for workload in in_language if workload.source.exists()]
