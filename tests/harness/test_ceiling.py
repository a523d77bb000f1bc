"""The generator's own limit: right answers for it, and a real trial of it."""

import json
from pathlib import Path

import httptools
import pytest

from harness import ceiling
from harness.belongings import Belongings
from harness.laboratory import Cores, Laboratory
from harness.matrix import CONNECTIONS, Closed, Plan
from harness.targets import choose
from workloads.catalog import WORKLOADS, Connection
from workloads.load import Load, asks
from workloads.proof import Identity, Proof

PROOFS = tuple(Proof(f"t{n:04d}", Identity(47000 + n, 47000 + n, (33, 47000 + n))) for n in (1, 2))


class Parsed:
    """A reply as the client's parser sees it."""

    def __init__(self, data: bytes) -> None:
        self.body = b""
        self.complete = False
        self.parser = httptools.HttpResponseParser(self)
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("connection", CONNECTIONS)
def test_every_answer_is_right(name: str, connection: Connection) -> None:
    load = Load("127.0.0.1", 1, WORKLOADS[name], PROOFS, connection=connection)
    content = json.loads(ceiling.answers(load))
    assert content["connection"] == connection
    for ask, entry in zip(asks(load), content["answers"], strict=True):
        assert ask.request.startswith(entry["head"].encode("latin-1"))
        assert entry["head"].endswith("\r\n\r\n")
        assert entry["length"] == len(ask.request)
        reply = Parsed(entry["answer"].encode("latin-1"))
        assert reply.complete
        assert reply.keep_alive == (connection == "keep-alive")
        assert ask.check(reply.parser.get_status_code(), reply.body) is None


def test_the_answers_have_the_size_of_the_workload() -> None:
    template, hello = (
        ceiling.answer_to(WORKLOADS[name], PROOFS[0], "close") for name in ("template", "hello")
    )
    assert len(template) > 20_000
    assert len(hello) < 400


@pytest.mark.parametrize(
    ("runs_as", "names"),
    [
        (["server", "owner"], ("null",)),
        (["client"], ("null:client",)),
        (["owner", "client"], ("null", "null:client")),
        ([], ()),
    ],
)
def test_clients_with_identities_have_a_ceiling_of_their_own(
    runs_as: list[str], names: tuple[str, ...]
) -> None:
    assert ceiling.nulls(runs_as) == names
    assert all(ceiling.is_null(name) for name in names)
    assert not ceiling.is_null("dso")


def test_a_ceiling_is_measured_like_a_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    plan = Plan(
        targets=("dso",),
        loads=(Closed(2),),
        workers=2,
        tenants=2,
        blocks=1,
        seconds=0.2,
        warmup_s=0.1,
        ceilings=("null",),
    )
    with (
        Belongings() as belongings,
        Laboratory(belongings, plan, choose(["dso"]), Cores((), ())) as laboratory,
    ):
        rows = [laboratory.measure(spec).row for spec in plan.trials() if spec.target == "null"]
        assert laboratory.runs_as("null") == "owner"
    assert {row.connection for row in rows} == set(CONNECTIONS)
    for row in rows:
        assert (row.verdict, row.kind) == ("ok", "ceiling")
        assert row.requests
        assert row.served
        assert row.served >= row.requests
        assert row.processes == 1
