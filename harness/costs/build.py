"""The C programs that measure, compiled for this run; see the comments at the head of each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.costs.samples import Missing
from harness.errors import IsobenchError
from workloads.load.clients import library

_SOURCES = Path(__file__).with_name("programs")
_REMEDY = "install a C compiler and its headers: apt-get install gcc libc6-dev"


@dataclass(frozen=True)
class Programs:
    """Where the compiled programs are. `static` is None where nothing can be linked statically."""

    creation: Path
    launch: Path
    dynamic: Path
    static: Path | None
    missing: tuple[Missing, ...] = ()


def build(folder: Path) -> Programs:
    """Compile all into a folder. Raises IsobenchError where there is no C compiler that can."""
    compiler = _compiler()
    built = {}
    for name, source in (("creation", "creation"), ("launch", "launch"), ("dynamic", "first")):
        built[name] = folder / name
        if words := _compile(compiler, source, built[name]):
            room = "see whether the temporary directory (TMPDIR) has room, and "
            raise IsobenchError(
                f"{compiler[0]} cannot compile {source}.c: {words}", hint=room + _REMEDY
            )
    static: Path | None = folder / "static"
    missing: tuple[Missing, ...] = ()
    if words := _compile(compiler, "first", folder / "static", "-static"):
        static = None
        missing = (Missing("static C", f"{compiler[0]} cannot link statically: {words}"),)
    return Programs(**built, static=static, missing=missing)


def _compile(compiler: Sequence[str], source: str, target: Path, *options: str) -> str:
    """Return the compiler's last line where it failed, and nothing where it did not."""
    command = [*compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-pthread", *options]
    command += ["-o", str(target), str(_SOURCES / f"{source}.c")]
    # The compiler's own temporary files are beside it, so that they, too, go if it is killed.
    environment = {**os.environ, "TMPDIR": str(target.parent)}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return (result.stderr.strip().splitlines() or ["no reason given"])[-1] * bool(result.returncode)


def _compiler() -> Sequence[str]:
    try:
        return library.compiler()
    except library.NotBuilt as error:
        raise IsobenchError(str(error), hint=f"{_REMEDY}, or pip install ziglang") from None
