"""What is taken from a process that has to stay root: all but a few capabilities and directories.

What a current kernel offers in the place of the secure operating system that Harache's server runs
on (SELinux): a bounding set, locked securebits, no_new_privs, and a Landlock domain. Children
inherit all of it.
"""

from __future__ import annotations

import sys

from servers.kernel import syscalls

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

_NO_ROOT: Final = syscalls.SECBIT_NOROOT | syscalls.SECBIT_NOROOT_LOCKED
_READ: Final = (
    syscalls.LANDLOCK_ACCESS_FS_EXECUTE
    | syscalls.LANDLOCK_ACCESS_FS_READ_FILE
    | syscalls.LANDLOCK_ACCESS_FS_READ_DIR
)
_READ_AND_WRITE: Final = (
    syscalls.LANDLOCK_ACCESS_FS_READ_FILE | syscalls.LANDLOCK_ACCESS_FS_WRITE_FILE
)
# What programs in general need to read. The rest of /etc, /root, /home and /var stays closed to
# the process, and so to whatever it is made to do.
SYSTEM: Final = (
    "/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin",
    "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl", "/etc/mime.types",
)  # fmt: skip
DEVICES: Final = ("null", "zero", "full", "random", "urandom")


def restrain(
    sites: str, capabilities: int, executes: str | None = None, kept: str | None = None
) -> None:
    """Stay root, but of its power keep `capabilities`, a bit mask, and files that scripts need.

    Where the kernel has no Landlock, files stay as open as before. Raises OSError.

    `executes` is a directory that a program which is executed next needs to read. That program
    gets its capabilities from being root, which the bounding set limits to the same ones, so the
    bit that would deny root everything stays off. `kept` is a directory in which children keep
    files of their own.
    """
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)  # without it Landlock asks for CAP_SYS_ADMIN
    if syscalls.landlock_abi():
        writable = (sites, "/tmp", kept) if kept else (sites, "/tmp")
        _confine_files(writable, (executes,) if executes else ())
    bits = syscalls.SECBIT_KEEP_CAPS_LOCKED | (0 if executes else _NO_ROOT)
    syscalls.prctl(syscalls.PR_SET_SECUREBITS, bits)
    syscalls.drop_bounding_set(keep=capabilities)
    syscalls.capset(syscalls.Capabilities(capabilities, capabilities))


def _confine_files(writable: tuple[str, ...], readable: tuple[str, ...]) -> None:
    everything = syscalls.LANDLOCK_ACCESS_FS_ABI_1
    rules = [(path, _READ) for path in (*SYSTEM, "/proc", sys.base_prefix, *readable)]
    rules += [(path, everything) for path in writable]
    rules += [(f"/dev/{name}", _READ_AND_WRITE) for name in DEVICES]
    syscalls.landlock_restrict(everything, rules)
