"""Every mode stamps the whole of its timeline, in order, and serves as it does without."""

import importlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from servers import modes
from servers.mode import IsolationMode
from servers.profiling.timelines import SERVER, UNDIVIDED, Step
from tests.servers.live import Server, Sites, needs_root, request

TENANTS = ("t0001", "t0002")


class Profiled(Server):
    """A server that stamps, and what its journal says."""

    def __init__(self, mode: str, sites: Sites, *arguments: str, workers: int = 1) -> None:
        self.journal = sites.root.parent / f"journal-{mode}"
        super().__init__(mode, sites, "--phases", str(self.journal), *arguments, workers=workers)

    def points(self, since: int = 0) -> dict[str, int]:
        """Return the points that were passed since then."""
        layout: dict[str, Any] = self.ready["phases"]
        cells = memoryview(self.journal.read_bytes()).cast("q")
        pairs = zip(layout["points"], cells, strict=True)
        return {point: at for point, at in pairs if at > since}


def stamped(steps: tuple[Step, ...]) -> list[str]:
    """Return the points that a server itself can stamp."""
    return [step.point for step in steps if step.by == SERVER]


@needs_root
@pytest.mark.parametrize("mode", modes.names())
def test_a_mode_stamps_its_timeline_in_order(mode: str, shared_sites: Sites) -> None:
    timeline = modes.load(mode).timeline()
    with Profiled(mode, shared_sites) as server:
        for tenant in (*TENANTS, *TENANTS):
            began = time.monotonic_ns()
            assert server.ask(request(tenant=tenant)).status == 200
            wanted = {*stamped(timeline.request), *stamped(timeline.afterwards)}
            server.wait_for(lambda: wanted <= server.points(began).keys())  # noqa: B023
            points = server.points(began)
            for steps, before in (
                (timeline.request, 0),
                (timeline.afterwards, points.get("sent", 0)),
            ):
                times = [before, *(points[point] for point in stamped(steps))]
                assert times == sorted(times), (steps, points)


@needs_root
def test_putting_a_worker_back_to_learn_a_script_is_not_what_follows_the_answer(
    shared_sites: Sites,
) -> None:
    with Profiled("groundhog", shared_sites) as server:
        began = time.monotonic_ns()
        assert server.run("import os; os._exit(0)").status == 502
        assert "begun" in server.points(began)
        assert "cleaned" not in server.points(began)


@needs_root
@pytest.mark.parametrize("mode", ["suid2", "ruid2_drop"])
def test_an_executed_worker_stamps_as_well(mode: str, shared_sites: Sites) -> None:
    with Profiled(mode, shared_sites, "--option", "worker_start=exec") as server:
        for _ in range(2):
            began = time.monotonic_ns()
            assert server.ask(request()).status == 200
            server.wait_for(lambda: "ready" in server.points(began))  # noqa: B023


@pytest.mark.parametrize("mode", modes.names())
def test_the_probe_points_of_a_timeline_exist(mode: str) -> None:
    timeline = modes.load(mode).timeline()
    for probe in timeline.probes + timeline.executed:
        module, _, path = probe.function.partition(":")
        holder = importlib.import_module(module)
        for name in path.split("."):
            holder = getattr(holder, name)
        assert callable(holder)


def test_each_mode_of_ours_has_a_timeline_of_its_own() -> None:
    assert [name for name in modes.names() if modes.load(name).timeline() is UNDIVIDED] == []


def test_a_mode_without_a_timeline_is_one_phase() -> None:
    phases = [step.phase for step in IsolationMode.timeline().request]
    assert phases[-3:] == ["handle", "response", "delivery"]


def test_a_timeline_costs_a_server_that_is_not_profiled_nothing() -> None:
    source = (
        "import sys; from servers import modes\n"
        "for name in modes.names(): modes.load(name)\n"
        "print(*(name for name in sys.modules if name.startswith('servers.profiling')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@needs_root
def test_a_server_that_is_not_asked_to_does_not_stamp(shared_sites: Sites) -> None:
    with Server("dso", shared_sites) as server:
        assert "phases" not in server.ready
        maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in server.workers())
        assert "journal" not in maps


@needs_root
def test_more_than_one_worker_is_refused(shared_sites: Sites) -> None:
    server = Profiled("dso", shared_sites, workers=2)
    server.close()
    assert server.ready["ready"] is False
    assert server.ready["hint"] == "give --workers 1"
