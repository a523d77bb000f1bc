"""Programs and libraries in C that a server compiles, and keeps for the servers after it."""

from __future__ import annotations

import _imp
import os

from servers import host_checks
from servers.errors import Unavailable
from servers.kernel import detach

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_OTHERS_WRITE: Final = 0o022
_LONGEST_REASON: Final = 4096  # PIPE_BUF: it fits into a pipe that nobody reads yet
_REMEDY: Final = "install a C compiler and its headers: apt-get install gcc libc6-dev"


def place(folder: str, stem: str, sources: Sequence[str], flags: Sequence[str]) -> str:
    """Return where in a folder a program is kept: its name goes by what it is made of."""
    made_of = [os.fsencode(f"{os.uname().machine} {tuple(flags)}")]
    for path in sources:
        with open(path, "rb") as file:
            made_of.append(file.read())
    return os.path.join(folder, f"{stem}-{_imp.source_hash(0, b''.join(made_of)).hex()}")


def opened(path: str) -> int | None:
    """Return a descriptor of a program that is kept; None without one that only we can write."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    state = os.fstat(descriptor)
    if state.st_uid in (0, os.geteuid()) and not state.st_mode & _OTHERS_WRITE:
        return descriptor
    os.close(descriptor)
    return None


def compile_to(target: str, source: str, flags: Sequence[str] = ()) -> None:
    """Compile a file of C to `target`, which is whole or not there. Raises Unavailable.

    Everybody may execute it. A child does the work, since that takes modules of which no process of
    the server has any use.
    """
    folder, name = os.path.split(target)
    # Other servers may compile it at the same time, in pid namespaces of their own.
    unfinished = os.path.join(folder, f".{name}.{os.urandom(8).hex()}")
    heard, tell = os.pipe2(os.O_CLOEXEC)
    child = detach.fork(lambda: _tell(tell, _compiled(unfinished, source, flags)))
    os.close(tell)
    with open(heard, "rb") as pipe:
        reason = pipe.read().decode(errors="replace")
    if os.waitpid(child, 0)[1] and not reason:
        reason = f"the process that compiles {os.path.basename(source)} failed"
    if reason:
        raise Unavailable(reason, _REMEDY)
    os.chmod(unfinished, 0o755)
    os.replace(unfinished, target)


def _tell(tell: int, reason: str) -> None:
    os.write(tell, reason.encode(errors="replace")[:_LONGEST_REASON])


def _compiled(target: str, source: str, flags: Sequence[str]) -> str:
    """Run the compiler; return what failed, and nothing where all went well."""
    import subprocess

    try:
        compiler = host_checks.c_compiler()
    except Unavailable as error:
        return str(error)
    result = subprocess.run(
        [*compiler, *flags, "-o", target, source],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        # Where what a compiler leaves that is killed goes with all else.
        env={**os.environ, "TMPDIR": os.path.dirname(target)},
    )
    if not result.returncode:
        return ""
    words = result.stderr.strip() or "no reason given"
    return f"{compiler[0]} cannot compile {os.path.basename(source)}: {words}"
