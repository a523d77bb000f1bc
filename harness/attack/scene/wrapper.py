"""The setuid wrapper of a server (as suEXEC's), called as a worker would that was taken over.

No script can become the server's own user: the call is made from outside, by nsenter(1) or
setpriv(1), with the identity of a worker and in the server's namespaces.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.attack.errors import SceneFailed
from harness.host.proc import Cast
from harness.target.targets import python
from workloads.proof import Identity

_WITHIN_S = 5.0


def find(cast: Cast, private: Path) -> str:
    """Return the path of a setuid program in the server's private directory, "" for none."""
    seen = inside(cast, private)
    for entry in seen.rglob("*"):
        if entry.is_file() and entry.stat().st_mode & 0o4000:
            return str(private / entry.relative_to(seen))
    return ""


def inside(cast: Cast, path: Path) -> Path:
    """Return where a path of the server's own root, which may differ from ours, is found."""
    root = Path(f"/proc/{cast.master.pid}/root" if cast.contained else "/")
    return root / path.relative_to("/")


def write_program(path: Path, token: str, uid: int, gid: int, mode: int) -> Path:
    """Write a program that prints the token and its uid; it belongs to `uid` and `gid`."""
    path.write_text(f"#!{python()} -IS\nimport os\nprint({token!r}, os.getuid())\n")
    os.chown(path, uid, gid)
    path.chmod(mode)
    return path


def call(cast: Cast, www: Identity, directory: Path, command: Sequence[str], token: str) -> str:
    """Run the wrapper's command line as www in a directory; return what a script would print.

    That says "done" where the token came back, else "refused". Raises SceneFailed where nsenter
    or setpriv could not run it.
    """
    result = subprocess.run(
        [*_as_a_worker(cast, www, directory), *command],
        env={},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=_WITHIN_S,
        cwd=inside(cast, directory),
    )
    if result.stderr.startswith(("nsenter: ", "setpriv: ")):
        raise SceneFailed(result.stderr.strip())
    said = " ".join((result.stdout + result.stderr).split())
    told = "done" if token in said else f"refused exit {result.returncode}: {said}"
    return f"isobench-attack {told}\n{said}"


def _as_a_worker(cast: Cast, www: Identity, directory: Path) -> list[str]:
    """Return the command before which a program runs as www, in the server's namespaces.

    Where there are none, it runs where it is called.
    """
    if not cast.contained:
        identity = [f"--reuid={www.uid}", f"--regid={www.gid}", "--clear-groups"]
        return ["setpriv", *identity, "--"]
    identity = [f"--setuid={www.uid}", f"--setgid={www.gid}"]
    target = f"--target={cast.master.pid}"
    return ["nsenter", target, "--mount", "--pid", *identity, f"--wdns={directory}", "--"]
