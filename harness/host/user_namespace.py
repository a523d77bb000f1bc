"""Root's abilities for an ordinary user: a user namespace with many uids, where the host has them.

With newuidmap and a range in /etc/subuid, `unshare` starts isobench again as root of a namespace
in which 65,536 different uids are real to the kernel, and none of them is the host's root
(user_namespaces(7)).
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

_ENTERED = "ISOBENCH_USER_NAMESPACE"
_UNSHARE = ("unshare", "--user", "--map-root-user", "--map-auto")


def gain() -> None:
    """Start isobench again in a user namespace, if that gives it the identities it lacks.

    Returns if it would not: as root, if already done, or if the host does not allow
    it; then the modes that need other identities say so themselves.
    """
    if os.geteuid() == 0 or _ENTERED in os.environ or obstacle() is not None:
        return
    environment = {**os.environ, _ENTERED: "1"}
    command = [*_UNSHARE, "--", sys.executable, *sys.orig_argv[1:]]
    os.execvpe(command[0], command, environment)


def entered() -> bool:
    """Return whether this process runs in a namespace that `gain` made."""
    return _ENTERED in os.environ


def obstacle() -> str | None:
    """Return why an ordinary user can have no namespace with many uids here, or None."""
    for program, package in (("unshare", "util-linux"), ("newuidmap", "uidmap")):
        if shutil.which(program) is None:
            return f"{program} is missing (apt-get install {package})"
    for name in ("/etc/subuid", "/etc/subgid"):
        if not _has_range(Path(name)):
            return f"{name} has no range for you (as root: usermod --add-subuids 100000-165535 ...)"
    attempt = subprocess.run([*_UNSHARE, "--", "true"], capture_output=True, text=True, check=False)
    if attempt.returncode:
        return f"the kernel refuses: {attempt.stderr.strip()}"
    return None


def _has_range(path: Path) -> bool:
    try:
        lines = path.read_text().splitlines()
        # What newuidmap(1) goes by: the passwd entry, whatever the environment says.
        owners = {pwd.getpwuid(os.getuid()).pw_name, str(os.getuid())}
    except (OSError, KeyError):
        return False
    return any(line.partition(":")[0] in owners for line in lines)
