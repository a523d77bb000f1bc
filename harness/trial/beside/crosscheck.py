"""The same load from another generator, to see whether ours tells the truth.

Strategy
========

**wrk** (Glozer) is written in C and shares nothing with our client. After the blocks, each target
serves once more under each closed load; ours and wrk load the same server in turn (ours, wrk, wrk,
ours, so that what drifts falls on both alike), with as many connections, and with the same
requests: a generated Lua script goes through the tenants in the same order.

**Where they differ by their make.** wrk does not look at bodies, so it spends less on each reply:
beyond our generator's ceiling it is the faster one. Its clock starts when a connection stands
(`socket_writeable` in wrk.c), ours before; with one connection a request, ours has the handshake
in it. And wrk adds latencies that it thinks were never measured: for each one of at least twice
the mean time between a connection's requests it counts shorter ones besides (`stats_correct` in
stats.c). Ours are counted in that way too before the two are compared, so p50 and p99 in this table
are not those of the other tables.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import IsobenchError
from harness.plan.loads import Closed
from harness.plan.plan import Plan, Spec
from harness.results.rows import CrosscheckRow

TOOLS = ("wrk",)
SECONDS = 1
"""wrk measures whole seconds only."""
BLOCK = 0
ORDER = ("own", "wrk", "wrk", "own")
MOST_REQUESTS = 4096
"""How many requests the Lua script holds; a longer load goes through them again."""

_TIMEOUT_S = 30.0
_MARK = "isobench "

Latencies = NDArray[np.float64]


class CrossCheckFailed(IsobenchError):
    """The other tool could not put its load on."""


@dataclass(frozen=True)
class Loaded:
    """What one generator saw in `seconds` seconds. Latencies are as wrk counts them."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int = 0

    @property
    def rate(self) -> float:
        """Requests answered per second."""
        return self.requests / self.seconds


class Bench(Protocol):
    """Whatever can have a target loaded by both; the tests have one that needs no server."""

    def side_by_side(self, spec: Spec, order: Sequence[str]) -> list[Loaded]:
        """Load one server by each generator in sequence. Raises IsobenchError on failure."""


def find(tool: str) -> Path:
    """Return where the tool is installed. Raises IsobenchError where it is not, or is unknown."""
    if tool not in TOOLS:
        raise IsobenchError(
            f"unknown cross-check tool {tool!r}", hint=f"choose one of {', '.join(TOOLS)}"
        )
    path = shutil.which(tool)
    if path is None:
        raise IsobenchError(
            f"{tool} is not installed",
            hint=f"install it with the system's package manager (Debian: apt install {tool}), "
            "or omit --cross-check",
        )
    return Path(path)


def version(path: Path) -> str:
    """Return the tool's version, such as `4.1.0`, or "unknown"."""
    result = subprocess.run([path, "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\S*", result.stdout)
    return found[0] if found else "unknown"


def specs(plan: Plan) -> Iterator[Spec]:
    """Yield what is to be checked: every closed load of every target, ceilings first."""
    for target in (*plan.ceilings, *plan.targets):
        for workload in plan.workloads:
            for load in plan.loads:
                for connection in plan.connections:
                    if isinstance(load, Closed):
                        yield Spec(BLOCK, 0, target, workload, load, connection)


def remaining(plan: Plan, made: Sequence[tuple[str, str, str, str]]) -> list[Spec]:
    """Return the specs without those made: target, workload, load and connection."""
    there = set(made)
    return [
        spec
        for spec in specs(plan)
        if (spec.target, spec.workload, str(spec.load), spec.connection) not in there
    ]


def check(spec: Spec, plan: Plan, runs_as: str, bench: Bench) -> CrosscheckRow:
    """Make one comparison. What fails becomes a row with a note."""
    row = CrosscheckRow(
        target=spec.target,
        workload=spec.workload,
        load=str(spec.load),
        connection=spec.connection,
        tenants=plan.tenants,
        popularity=plan.popularity,
        tool=str(plan.cross_check),
        rounds=0,
    )
    if runs_as == "client":
        return _noted(row, f"{row.tool} cannot send a credential in its packets")
    try:
        seen = bench.side_by_side(spec, ORDER)
    except IsobenchError as error:
        return _noted(row, " ".join(str(error).split()))
    return compared(row, ORDER, seen)


def compared(row: CrosscheckRow, order: Sequence[str], seen: Sequence[Loaded]) -> CrosscheckRow:
    """Return the row with what was seen: geometric means over the rounds."""
    own, tool = (
        [one for who, one in zip(order, seen, strict=True) if (who == "own") == mine]
        for mine in (True, False)
    )
    errors = sum(one.errors for one in tool)
    if not all(one.requests for one in seen):
        return _noted(row, "a generator had no answer at all")
    rates = [_mean([one.rate for one in side]) for side in (own, tool)]
    numbers = {
        "rounds": len(tool),
        "own_per_second": rates[0],
        "tool_per_second": rates[1],
        "rate_difference": rates[1] / rates[0] - 1,
        "own_p50_ms": _mean([one.p50_ms for one in own]),
        "tool_p50_ms": _mean([one.p50_ms for one in tool]),
        "own_p99_ms": _mean([one.p99_ms for one in own]),
        "tool_p99_ms": _mean([one.p99_ms for one in tool]),
        "tool_errors": errors,
        "note": f"{row.tool} saw {errors} errors" if errors else None,
    }
    return CrosscheckRow(**{**asdict(row), **numbers})


def _mean(values: Sequence[float]) -> float:
    return math.exp(sum(math.log(value) for value in values) / len(values))


def _noted(row: CrosscheckRow, note: str) -> CrosscheckRow:
    return CrosscheckRow(**{**asdict(row), "note": note})


def own(latencies_us: Latencies, seconds: float, users: int) -> Loaded:
    """Return what our generator saw, its latencies counted as wrk counts its own."""
    requests = len(latencies_us)
    if not requests:
        return Loaded(0, seconds, math.nan, math.nan)
    counted = as_wrk_counts(latencies_us, expected_us(requests, seconds, users))
    p50, p99 = np.percentile(counted, [50, 99]) / 1000
    return Loaded(requests, seconds, float(p50), float(p99))


def expected_us(requests: int, seconds: float, users: int) -> int:
    """Return what wrk takes for the time between a connection's requests; 0: it tells nothing."""
    each = requests // users
    return int(seconds * 1e6) // each if each else 0


def as_wrk_counts(latencies_us: Latencies, expected: int) -> NDArray[np.int64]:
    """Return the latencies, in whole microseconds, with those that wrk would add.

    For a latency of n >= 2 * expected these are n - expected, n - 2 * expected ..., as long as they
    exceed `expected`.
    """
    whole = latencies_us.astype(np.int64)
    if expected <= 0:
        return whole
    long = whole[whole >= 2 * expected]
    times = np.maximum(-(-long // expected) - 2, 0)
    steps = np.concatenate([np.arange(1, count + 1) for count in times] or [np.empty(0, np.int64)])
    return np.concatenate([whole, np.repeat(long, times) - expected * steps.astype(np.int64)])


def script(requests: Sequence[bytes]) -> str:
    """Return the Lua script with which wrk sends these requests in turn, and reports."""
    different = list(dict.fromkeys(requests))
    order = ",".join(str(different.index(request) + 1) for request in requests)
    texts = ",\n".join(f'"{_escaped(request)}"' for request in different)
    return (
        f"local texts = {{\n{texts}\n}}\n"
        f"local order = {{{order}}}\n"
        "local sent = 0\n"
        "function request()\n"
        "  sent = sent % #order + 1\n"
        "  return texts[order[sent]]\n"
        "end\n"
        "function done(summary, latency, rates)\n"
        "  local e = summary.errors\n"
        f"  io.write(string.format('{_MARK}"
        '{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "errors": %d}\\n\','
        "\n    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),"
        "\n    e.connect + e.read + e.write + e.status + e.timeout))\n"
        "end\n"
    )


def _escaped(request: bytes) -> str:
    """Return the bytes as a Lua string (Lua 5.1 manual, 2.1: a backslash and three digits)."""
    plain = {code for code in range(32, 127) if chr(code) not in '"\\'}
    return "".join(chr(code) if code in plain else f"\\{code:03d}" for code in request)


def read_result(output: str) -> Loaded:
    """Return what the script's last line says. Raises CrossCheckFailed."""
    for line in output.splitlines():
        if line.startswith(_MARK):
            told = json.loads(line.removeprefix(_MARK))
            return Loaded(
                requests=told["requests"],
                seconds=told["duration_us"] / 1e6,
                p50_ms=told["p50_us"] / 1000,
                p99_ms=told["p99_us"] / 1000,
                errors=told["errors"],
            )
    raise CrossCheckFailed("wrk ended without a summary", hint="try it by hand: wrk -v")


def wrk(
    path: Path, script_file: Path, address: tuple[str, int], users: int, cpus: Sequence[int]
) -> Loaded:
    """Put wrk's load on, for `SECONDS` seconds. Raises CrossCheckFailed."""
    host, port = address
    command = [str(path), "-t1", f"-c{users}", f"-d{SECONDS}s", f"--timeout={_TIMEOUT_S:.0f}s"]
    command += ["-s", str(script_file), f"http://{host}:{port}/"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            if cpus:
                os.sched_setaffinity(process.pid, cpus)
            output, _ = process.communicate(timeout=SECONDS + _TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise CrossCheckFailed(
                "wrk did not end", hint="check the server's log for a hanging script"
            ) from None
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        last = output.strip().splitlines()[-1:] or [f"exit status {process.returncode}"]
        raise CrossCheckFailed(f"wrk failed: {last[0]}", hint="try it by hand: wrk -v")
    return read_result(output)


def carry_out(
    left: Sequence[Spec],
    plan: Plan,
    runs_as: Callable[[str], str],
    bench: Bench,
    write_down: Callable[[CrosscheckRow], None],
) -> None:
    """Make the comparisons that are left; each is written down before the next begins."""
    for spec in left:
        write_down(check(spec, plan, runs_as(spec.target), bench))
