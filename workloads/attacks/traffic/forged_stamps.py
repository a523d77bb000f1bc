"""Forge the front's timestamps in the journal of a server that is being profiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

OF_OURS = True
PROFILED = True


def attack(given: Given) -> object:
    import os

    # Each stamping function carries the cells with it; the first four are the front's.
    for function in given.reach("function"):
        if function.__name__ == "stamping":
            cells = function.__globals__["cells"]
            cells[1] = cells[2] = cells[3] = cells[0]
            return "through a function that stamps"
    where = given.journal
    for number in os.listdir("/proc/self/fd"):
        link = f"/proc/self/fd/{number}"
        # That of the listing itself is closed by now.
        if os.path.lexists(link) and os.readlink(link) == given.journal:
            where = link
    with open(where, "r+b") as journal:
        first = journal.read(8)
        journal.write(3 * first)
    return f"through {where}"


def proof(scene: Scene) -> str | None:
    times = {scene.stamp(point) for point in ("accepted", "received", "parsed", "located")}
    # Of two of these at the same nanosecond, one was not measured.
    if len(times) == 1 and times != {0}:
        return "the journal says that the front received, parsed and located the request in 0 ns"
    return None
