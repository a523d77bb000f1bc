"""Every mode stamps the whole of its course, in order, and serves as it does without."""

import importlib
import time
from pathlib import Path
from typing import Any

import pytest

from servers import modes
from servers.profiling.timelines import COURSES, SERVER, Step, course_of
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
def test_a_mode_stamps_its_course_in_order(mode: str, shared_sites: Sites) -> None:
    course = course_of(mode)
    with Profiled(mode, shared_sites) as server:
        for tenant in (*TENANTS, *TENANTS):
            began = time.monotonic_ns()
            assert server.ask(request(tenant=tenant)).status == 200
            wanted = {*stamped(course.request), *stamped(course.afterwards)}
            server.wait_for(lambda: wanted <= server.points(began).keys())  # noqa: B023
            points = server.points(began)
            for steps, before in ((course.request, 0), (course.afterwards, points.get("sent", 0))):
                times = [before, *(points[point] for point in stamped(steps))]
                assert times == sorted(times), (steps, points)


@needs_root
@pytest.mark.parametrize("mode", ["suid2", "ruid2_drop"])
def test_an_executed_worker_stamps_as_well(mode: str, shared_sites: Sites) -> None:
    with Profiled(mode, shared_sites, "--option", "worker_start=exec") as server:
        for _ in range(2):
            began = time.monotonic_ns()
            assert server.ask(request()).status == 200
            server.wait_for(lambda: "ready" in server.points(began))  # noqa: B023


@pytest.mark.parametrize("mode", sorted(COURSES))
def test_a_course_is_of_a_mode_and_its_seams_exist(mode: str) -> None:
    assert mode in modes.names()
    for seam in COURSES[mode].seams:
        module, _, path = seam.function.partition(":")
        holder = importlib.import_module(module)
        for name in path.split("."):
            holder = getattr(holder, name)
        assert callable(holder)


def test_each_mode_of_ours_has_a_course_of_its_own() -> None:
    assert COURSES.keys() == {*modes.names()}


def test_a_mode_without_a_course_is_one_phase() -> None:
    phases = [step.phase for step in course_of("somebody's").request]
    assert phases[-3:] == ["handle", "response", "delivery"]


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
