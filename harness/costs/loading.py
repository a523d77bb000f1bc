"""How long an interpreter takes to a script's first line, and to its end: `launch.c`, asked.

The script runs on the server's core. Who waits for it does so on another where there is one, so
that the waiting does not take time from it; a byte (see `interpreters`) then comes with the delay
of one wake-up, some tens of microseconds.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from harness.costs.build import Programs
from harness.costs.effort import Effort
from harness.costs.interpreters import Launch
from harness.costs.samples import Facts, Missing, Sample, Subject

FIRST_LINE = "to the first line"
EXIT = "to exit"

_LEAST, _MOST = 1, 50
_PATIENCE_S: Final = 60.0
_ENVIRONMENT: Final = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
_STARTS: Final = re.compile(r"^\d+ +[a-z]\w*\(")
_OPENED: Final = re.compile(r"^\d+ +(?:<\.\.\. )?open(?:at2?)?[( ].* = \d+(?:<.*>)?$")


@dataclass(frozen=True)
class Traced:
    """What a launch asked of the kernel, counted by strace(1)."""

    syscalls: int
    files_opened: int


@dataclass(frozen=True)
class _Line:
    """One line of `launch.c`."""

    first_us: float
    exit_us: float
    user_us: float
    system_us: float
    page_faults: float
    memory_mib: float
    stamp: str
    status: int


def launch(
    programs: Programs, one: Launch, number: int, effort: Effort, cpu: int, traced: Traced | None
) -> list[Sample] | Missing:
    """Launch an interpreter, several times if it is quick; `number` is that of the round."""
    command = [str(programs.launch), str(_LEAST), str(_MOST), str(effort.launch_us)]
    try:
        result = subprocess.run(
            [*command, str(cpu), *one.command],
            env=environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Missing(_named(one), f"it did not end within {_PATIENCE_S:.0f} s")
    return read_answer(one, number, result.stdout.splitlines(), traced)


def read_answer(
    one: Launch, number: int, answer: Sequence[str], traced: Traced | None = None
) -> list[Sample] | Missing:
    """Return what the lines of `launch.c` say. Pure."""
    if not answer:
        return Missing(_named(one), "it was ended by a signal")
    if answer[0].startswith("no "):
        return Missing(_named(one), f"not executed: {os.strerror(int(answer[0].split()[1]))}")
    lines = [_line(text) for text in answer]
    if broken := next((line for line in lines if line.status or line.first_us < 0), None):
        status = os.waitstatus_to_exitcode(broken.status)
        return Missing(_named(one), f"its script did not run (status {status})")
    stamp = "clock" if all(line.stamp == "clock" for line in lines) else "byte"
    what = f"{one.what}, " if one.what else ""
    subject = Subject("load", one.name, f"{what}{EXIT}", path=one.path, version=one.version)
    first = replace(subject, parameter=f"{what}{FIRST_LINE}", stamp=stamp)
    facts = Facts(
        user_us=statistics.fmean(line.user_us for line in lines),
        system_us=statistics.fmean(line.system_us for line in lines),
        page_faults=statistics.fmean(line.page_faults for line in lines),
        memory_mib=max(line.memory_mib for line in lines),
        syscalls=traced.syscalls if traced else None,
        files_opened=traced.files_opened if traced else None,
    )
    count = len(lines)
    return [
        Sample(first, number, statistics.median(line.first_us for line in lines), count),
        Sample(subject, number, statistics.median(line.exit_us for line in lines), count, facts),
    ]


def _line(text: str) -> _Line:
    first_ns, exit_ns, user, system, faults, peak_kib, stamp, status = text.split()
    return _Line(
        first_us=int(first_ns) / 1000,
        exit_us=int(exit_ns) / 1000,
        user_us=float(user),
        system_us=float(system),
        page_faults=float(faults),
        memory_mib=int(peak_kib) / 1024,
        stamp=stamp,
        status=int(status),
    )


def _named(one: Launch) -> str:
    return f"{one.name} {one.what}".strip()


def environment() -> Mapping[str, str]:
    """Return the environment of a launch: what a shell needs, and nothing that Python heeds."""
    return _ENVIRONMENT


def trace(launches: Iterable[Launch], folder: Path) -> tuple[dict[Launch, Traced], list[Missing]]:
    """Count the system calls of each launch, once, under strace(1).

    No time is taken from it: a traced program is many times slower. It is the first launch of
    all, too: files come into memory by it, and byte code is written.
    """
    strace = shutil.which("strace")
    record = folder / "strace"
    traced = {}
    for one in launches:
        tracing = [strace, "-f", "-qq", "-o", str(record)] if strace else []
        try:
            result = subprocess.run(
                [*tracing, *one.command],
                env=environment(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            continue  # the launches that are timed will say it
        if strace and not result.returncode and record.exists():
            traced[one] = count_calls(record.read_text(errors="replace"))
    if strace is None:
        return {}, [Missing("system calls", "strace is not installed (apt-get install strace)")]
    if not traced:
        return {}, [Missing("system calls", "this host does not let strace trace")]
    return traced, []


def count_calls(record: str) -> Traced:
    """Count what `strace -f -o` wrote down. Pure."""
    lines = record.splitlines()
    return Traced(
        sum(bool(_STARTS.match(line)) for line in lines),
        sum(bool(_OPENED.match(line)) for line in lines),
    )
