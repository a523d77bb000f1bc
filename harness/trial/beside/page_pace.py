"""How much work a page of so many milliseconds is, on this host.

A page's script does fixed work (`workloads/sites/page.py`), so that whatever makes scripts slower
shows in its time. How many of its rounds take a millisecond is found out once in a run, on the
server's processor and with the tenants' interpreter, and stands in the plan: a resumed run asks for
the same work.

**At the host's best.** A noisy host has two speeds, and which one a short look meets is chance;
the best of many looks, over half a second, is mostly the higher one. So `page:5ms` takes 5 ms at
the host's best and more on average; reports say what it took.
"""

from __future__ import annotations

import ast
import math
import subprocess
from collections.abc import Iterable, Sequence

from harness.errors import IsobenchError
from harness.host.cores import running_on
from harness.target.targets import python
from workloads import catalog

SECONDS = 0.5
_ROUNDS = 100
_PATIENCE_S = 30.0
_FIGURES = 2
"""Significant ones. More would be noise, and would make a difference between any two runs."""

_LOOK = """
import time
until = time.monotonic() + {seconds}
best = float("inf")
while time.monotonic() < until:
    start = time.thread_time()
    work({rounds})
    best = min(best, time.thread_time() - start)
print(best)
"""


def needed(workloads: Iterable[str]) -> bool:
    """Tell whether any of the workloads, by name, is a page."""
    return any(
        catalog.page_us(one) is not None for name in workloads for one in catalog.parts(name)
    )


def measure(cpus: Sequence[int], seconds: float = SECONDS) -> int:
    """Return how many rounds of a page's work take a millisecond of CPU time at best.

    Takes `seconds` on these processors. Raises IsobenchError.
    """
    program = _work() + _LOOK.format(seconds=seconds, rounds=_ROUNDS)
    with running_on(cpus):
        done = subprocess.run(
            [str(python()), "-IS", "-c", program],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    if done.returncode:
        words = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise IsobenchError(
            f"cannot calibrate the work of a page: {words}",
            hint=f"try {python()} -IS -c 'import time', or leave out the workload page",
        )
    return rounded(_ROUNDS / (float(done.stdout) * 1000))


def rounded(pace: float) -> int:
    """Return the pace with two significant figures, 1 at least."""
    places = _FIGURES - 1 - math.floor(math.log10(pace))
    return max(1, int(round(pace, places)))


def _work() -> str:
    """Return the work of the page's script, and what it works on, without the rest."""
    source = catalog.page(catalog.SHORTEST_PAGE_US).source.read_text()
    parts = (
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CELLS")
    )
    return "\n".join(map(ast.unparse, parts))
