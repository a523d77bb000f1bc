"""The generator's own limit: right answers for it, and a real trial of it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import httptools
import pytest

from harness.host.cores import Cores
from harness.plan.loads import Closed
from harness.plan.plan import CONNECTIONS, Plan
from harness.target.run_resources import RunResources
from harness.target.targets import choose
from harness.trial.bench import Laboratory
from harness.trial.beside import ceiling, crosscheck
from tests.harness.live import needs_root
from workloads.catalog import WORKLOADS, Connection
from workloads.load.spec import Load, asks
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
        RunResources() as resources,
        Laboratory(resources, plan, choose(["dso"]), Cores((), ())) as laboratory,
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


COMBINED = Plan(
    targets=("dso",),
    workloads=("upload",),
    loads=(Closed(1),),
    workers=2,
    tenants=2,
    blocks=1,
    seconds=0.2,
    warmup_s=0.05,
    ceilings=("null",),
)


@pytest.mark.parametrize(
    ("target", "client", "slice_s", "cross_check"),
    [
        ("dso", "fasthttp", None, "wrk"),
        ("dso", "compiled", 0.02, None),
        pytest.param("suzuki", "compiled", 0.02, None, marks=needs_root),
    ],
)
def test_clients_connections_ceilings_slices_and_cross_checks_go_together(
    target: str,
    client: str,
    slice_s: float | None,
    cross_check: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(crosscheck, "SECONDS", 1)
    ceilings = ceiling.nulls(one.runs_as for one in choose([target]))
    plan = replace(
        COMBINED,
        targets=(target,),
        client=client,
        slice_s=slice_s,
        cross_check=cross_check,
        ceilings=ceilings,
    )
    with (
        RunResources() as resources,
        Laboratory(resources, plan, choose([target]), Cores((), ())) as laboratory,
    ):
        specs = list(plan.trials())
        for spec in specs:
            in_turns = slice_s is not None and not ceiling.is_null(spec.target)
            (trial,) = (
                laboratory.measure_interleaved([spec]) if in_turns else [laboratory.measure(spec)]
            )
            # That nothing was answered in so short a time is no contradiction on a busy host.
            assert trial.row.first_error is None, trial.row.first_error
        if cross_check and shutil.which(cross_check):
            for spec in (one for one in specs if ceiling.is_null(one.target)):
                own, other = laboratory.side_by_side(spec, ("own", "wrk"))
                assert own.requests
                assert other.requests
    assert {(spec.target, spec.connection) for spec in specs} == {
        (name, connection) for name in (target, *ceilings) for connection in CONNECTIONS
    }
