"""The compiled client's library: `closed_loop.c`, built for this host.

    python -m workloads.load.clients.library FILE

builds it by hand. Imports next to nothing, so that the harness can ask whether it can be built.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from workloads.errors import WorkloadError

SOURCE = Path(__file__).with_name("closed_loop.c")
REMEDY = (
    "install a C compiler and its headers (apt-get install gcc libc6-dev), or use --client lean"
)
FLAGS = ("-std=c11", "-O2", "-fPIC", "-shared", "-pthread", "-Wall", "-Wextra")


class NotBuilt(WorkloadError):
    """There is no compiled client on this host."""


def compiler() -> Sequence[str]:
    """Return the command of a C compiler: the system's, or that of the wheel ziglang.

    Raises `NotBuilt`.
    """
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return [path]
    found = find_spec("ziglang")
    if found is not None and found.origin is not None:
        return [str(Path(found.origin).with_name("zig")), "cc"]
    raise NotBuilt("there is no C compiler", hint=REMEDY)


def build(target: Path, *options: str) -> None:
    """Compile the library to `target`, which is whole or not there. Raises `NotBuilt`."""
    command = [*compiler(), *FLAGS, *options]
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    done = subprocess.run(
        [*command, "-o", str(unfinished), str(SOURCE)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        # The compiler's own temporary files are beside it, so that they, too, go if it is killed.
        env={**os.environ, "TMPDIR": str(target.parent)},
    )
    if done.returncode:
        unfinished.unlink(missing_ok=True)
        words = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NotBuilt(f"{command[0]} cannot compile {SOURCE.name}: {words}", hint=REMEDY)
    unfinished.replace(target)


@lru_cache(maxsize=4)
def load(path: Path | None = None) -> ctypes.CDLL:
    """Load the library in a file, or one that is built for the purpose. Raises `NotBuilt`."""
    if path is not None:
        try:
            return ctypes.CDLL(str(path), use_errno=True)
        except OSError as error:  # no execution from this file system, another architecture
            raise NotBuilt(f"the compiled client cannot be loaded: {error}", hint=REMEDY) from None
    with TemporaryDirectory(prefix="isobench-client-") as folder:
        build(Path(folder, "closed_loop.so"))
        return load(Path(folder, "closed_loop.so"))


def obstacle(folder: Path | None = None) -> str | None:
    """Return why this host has no compiled client, None if it has one: it builds and loads it.

    In `folder`, if one is named, for whose end somebody else answers.
    """
    try:
        if folder is None:
            load()
        else:
            build(folder / "closed_loop.so")
            load(folder / "closed_loop.so")
    except NotBuilt as error:
        return str(error)
    return None


def main() -> int:
    """Build the library to the file that is named; return the exit status."""
    try:
        build(Path(sys.argv[1]))
    except (NotBuilt, IndexError) as error:
        hint = getattr(error, "hint", "Name the file to be made.")
        print(f"error: {error}\nhint: {hint}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
