"""Quiet tenants beside noisy ones, on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.host.cores import Cores
from harness.neighbour import limits
from harness.neighbour.effort import Effort, Series
from harness.neighbour.measure import Neighbourhood
from harness.neighbour.noise_source import NoiseSource
from harness.neighbour.noises import EVERY, choose
from harness.results.rows import NeighbourRow
from harness.target.run_resources import RunResources
from harness.target.server import Server
from harness.target.targets import choose as choose_targets
from tests.harness.live import needs_root

EFFORT = Effort(seconds=0.3, rate=60, workers=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbourhood]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        base = tmp_path_factory.mktemp("base")
        patch.setenv("TMPDIR", str(base))
        resources = stack.enter_context(RunResources())
        targets = choose_targets(["dso", "harache"])
        yield stack.enter_context(Neighbourhood(resources, EFFORT, targets, Cores((), ()), 3))
        stack.close()
        assert list(base.iterdir()) == []


def made(place: Neighbourhood, series: Series) -> dict[str, NeighbourRow]:
    return {row.noise: row for row in place.measure(series)}


@needs_root
def test_every_noise_is_made_and_the_quiet_tenant_is_counted(place: Neighbourhood) -> None:
    rows = made(place, Series(1, "dso", limits.NONE, EVERY))
    assert list(rows) == ["alone", *(noise.name for noise in EVERY)]
    assert {row.verdict for row in rows.values()} == {"ok"}
    assert all(row.requests and row.hdr for row in rows.values())
    assert rows["alone"].noise_done == 0
    assert all(rows[noise.name].noise_done for noise in EVERY)
    # More connections than workers, none of which ever ends its request: nobody is served.
    assert rows["slow"].dropped == rows["slow"].requests
    assert rows["alone"].dropped == 0


@needs_root
def test_limits_refuse_the_noise_and_not_the_quiet_tenant(place: Neighbourhood) -> None:
    series = Series(1, "harache", limits.RLIMITS, choose(["memory", "disk"]))
    rows = made(place, series)
    assert {row.verdict for row in rows.values()} == {"ok"}
    for name in ("memory", "disk"):
        assert rows[name].noise_done == 0
        assert rows[name].first_refusal == "status 500"
        assert rows[name].errors == 0


@needs_root
def test_a_server_that_ends_makes_one_window_void(
    place: Neighbourhood, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = NoiseSource.start

    def start_and_kill(self: NoiseSource, noise: object, server: Server, *rest: object) -> None:
        start(self, noise, server, *rest)  # type: ignore[arg-type]
        if noise == EVERY[0]:
            server._process.kill()
            server._processes.kill()

    monkeypatch.setattr(NoiseSource, "start", start_and_kill)
    rows = made(place, Series(2, "dso", limits.NONE, choose(["flood", "cpu"])))
    assert rows["flood"].verdict == "void: the server dso died under load (killed by SIGKILL)"
    assert rows["cpu"].verdict == "ok"


def test_noise_ends_with_its_process(tmp_path: Path) -> None:
    with NoiseSource((), tmp_path / "log") as source:
        assert source.stop().done == 0  # nothing was started
        pid = source._process.pid
    assert not Path(f"/proc/{pid}").exists()
