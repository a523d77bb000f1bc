"""Searches on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from harness.host.cores import Cores
from harness.slo.bench import PromiseBench
from harness.slo.effort import Effort
from harness.slo.promise import parse
from harness.target.run_resources import RunResources
from harness.target.server import Server
from harness.target.targets import choose
from tests.harness.live import needs_root

EFFORT = Effort(
    "p99 < 100ms and errors < 50%", rate_per_tenant=0.5, tenants=2, workers=2, seconds=0.2, seed=3
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PromiseBench]:
    """Searches of two open loads."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        base = tmp_path_factory.mktemp("base")
        patch.setenv("TMPDIR", str(base))
        for bound in ("MOST_LOOKS", "MORE_LOOKS"):
            patch.setattr(f"harness.slo.search.{bound}", 2)
        patch.setattr("harness.slo.bench.PILOT_S", 0.1)
        patch.setattr("harness.slo.bench.WARMUP_S", 0.05)
        resources = stack.enter_context(RunResources())
        made = PromiseBench(resources, EFFORT, choose(["dso"]), Cores((), ()))
        yield stack.enter_context(made)
        stack.close()
        assert list(base.iterdir()) == []


@needs_root
def test_a_rate_is_looked_for_by_open_loads(bench: PromiseBench) -> None:
    rows = bench.search(1, "dso")
    assert [row.load for row in rows[:2]] == ["closed:1", "closed:2"]
    assert [row.load.partition(":")[0] for row in rows[2:]] == ["open", "open"]
    assert {row.verdict for row in rows[:2]} == {"pilot"}
    assert len({(row.outcome, row.found_per_second) for row in rows}) == 1
    assert all(row.requests and row.hdr and row.margin for row in rows)
    assert rows[0].answered_per_second
    assert rows[2].offered_per_second
    assert rows[2].server_cpu_us_per_request


@needs_root
def test_no_rate_is_tried_where_one_user_waits_too_long(
    bench: PromiseBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_promise", parse("p50 < 1us"))
    (row,) = bench.search(2, "dso")
    assert (row.load, row.outcome, row.found_per_second) == ("closed:1", "never", None)
    assert row.measure == "p50"
    assert row.value


@needs_root
def test_a_server_that_ends_makes_its_search_void(
    bench: PromiseBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = Server.usage

    def killed(self: Server) -> object:
        self._process.kill()
        self._processes.kill()
        return usage(self)

    monkeypatch.setattr(Server, "usage", killed)
    rows = bench.search(3, "dso")
    assert rows[-1].verdict == "void"
    assert rows[-1].outcome.startswith("void: the server dso died under load")
