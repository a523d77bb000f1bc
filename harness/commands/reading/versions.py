"""A version of isobench as a program to run: an executable, or a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import harness
from harness.errors import IsobenchError
from harness.plan.plan import Plan
from harness.results.conditions import Condition

_LAST_LINES: Final = 4
_PATIENCE_S: Final = 30.0


@dataclass(frozen=True)
class Version:
    """How one version of isobench is started."""

    command: tuple[str, ...]
    checkout: Path | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of its processes: a checkout comes before what is installed."""
        if self.checkout is None:
            return os.environ
        return {**os.environ, "PYTHONPATH": str(self.checkout), "PYTHONSAFEPATH": "1"}


def of_path(path: Path, option: str) -> Version:
    """Return the version of an executable or a checkout. Raises IsobenchError where it is none."""
    path = path.absolute()
    if (path / "harness" / "__main__.py").exists():
        return Version((sys.executable, "-m", "harness"), path)
    if path.is_file() and os.access(path, os.X_OK):
        return Version((str(path),))
    raise IsobenchError(
        f"{option} {path} is neither a checkout of isobench nor an executable",
        hint="name a directory that has harness/, or a file such as VENV/bin/isobench",
    )


def this() -> Version:
    """Return the version that runs now."""
    return Version((sys.executable, "-m", "harness"), Path(harness.__file__).parents[1])


def arguments(
    plan: Plan,
    condition: Condition,
    targets: Sequence[str],
    modules: Sequence[str],
    blocks: int,
    seed: int,
    out: Path,
) -> list[str]:
    """Return the arguments by which `isobench` measures some targets as a plan did.

    Raises IsobenchError for a load that means nothing outside its own run.
    """
    if condition.load.endswith("%"):
        raise IsobenchError(
            f"cannot repeat the load {condition.load}: it is relative to the capacity that its run "
            "measured",
            hint="compare runs with absolute loads, such as closed:8 or open:500",
        )
    if plan.replay is not None:
        raise IsobenchError(
            "cannot confirm a run that replayed an access log: its folder does not hold the log",
            hint="replay the log again, and compare the runs",
        )
    options = {
        "modes": ",".join(targets),
        "workload": condition.workload,
        "load": condition.load,
        "connection": condition.connection,
        "tenants": condition.tenants,
        "popularity": condition.popularity,
        "workers": plan.workers,
        "outstanding": plan.outstanding,
        "seconds": f"{plan.seconds:g}",
        "slices": "off" if plan.slice_s is None else f"{1000 * plan.slice_s:g}ms",
        "client": plan.client,
        "blocks": blocks,
        "seed": seed,
        "out": out,
    }
    given = [
        part
        for name, value in options.items()
        if value is not None
        for part in (f"--{name}", str(value))
    ]
    given += [part for module in modules for part in ("--module", module)]
    return ["run", *given, "--no-page", *([] if plan.code_cache else ["--no-code-cache"])]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(version: Version, given: Sequence[str], log: Path) -> None:
    """Run a version with these arguments to its end; what it says goes to a file.

    Raises IsobenchError where it fails. It is ended with us, and cleans up before.
    """
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*version.command, *given],
            env=version.environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            code = process.wait()
        except BaseException:
            _end(process)
            raise
    if code:
        last = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        raise IsobenchError(
            f"a run that was to confirm failed with exit code {code}: {' / '.join(last)}",
            hint=f"see {log}; the command was: isobench {' '.join(given)}",
        )
