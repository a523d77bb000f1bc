"""What a server's processes are told when they are executed, and the command that executes them.

`python -m servers` reads a command line, prepares, looks at the host, and for that loads much that
a server has no use for. So it does not become the server: it executes one, an interpreter that has
loaded next to nothing, and that finds what it has to know, its *orders*, in a file in memory.
"""

from __future__ import annotations

import marshal
import os
import sys

from servers.kernel.credentials import Identity
from servers.mode import IsolationMode, Limits, Setting
from servers.typed import NamedTuple

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final, NoReturn

_PROGRAM: Final = "from servers.server_main import main; main()"
_LARGEST: Final = 1024 * 1024

# Have the dynamic linker look all functions up now, and not each forked process those that it comes
# to call (ld.so(8)).
BIND_NOW: Final = {"LD_BIND_NOW": "1"}

_KEPT: Final = frozenset(
    [
        *("PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONHOME"),
        *("PYTHONMALLOC", "PYTHONPATH", "PYTHONPLATLIBDIR", "PYTHONPYCACHEPREFIX"),
    ]
)


class Orders(NamedTuple):
    """What to serve, and with what. The integers but `workers` are inherited descriptors."""

    mode: str
    """The class, as "module:class"."""
    setting: Setting
    listener: int
    workers: int
    ready: str
    """The line that says that all workers wait for connections."""
    control: bool = False
    """Whether commands come through the standard input, at whose end the server stops."""
    journal: int | None = None
    slowdown_us: float | None = None
    log_limit: int = 0
    """The most bytes that the standard error's file may have; 0: any number."""
    tally: int | None = None
    """The file that requests are counted in, if any (`servers.front.shared_memory.tally`)."""

    def written(self) -> int:
        """Return the descriptor of a file in memory that says all this."""
        mode, setting, *rest = self
        parts: list[Any] = [tuple(part) if isinstance(part, tuple) else part for part in setting]
        parts[-1] = dict(setting.options)
        file = os.memfd_create("orders", os.MFD_CLOEXEC)
        os.write(file, marshal.dumps((mode, parts, rest)))
        return file

    @classmethod
    def read(cls, file: int) -> Orders:
        """Return what `written` has written, by whichever process."""
        mode, parts, rest = marshal.loads(os.pread(file, _LARGEST, 0))
        setting = Setting(*parts)
        setting = setting._replace(www=Identity(*setting.www), limits=Limits(*setting.limits))
        return cls(mode, setting, *rest)

    def descriptors(self) -> list[int]:
        """Return what is inherited beside the orders themselves."""
        beside = (self.journal, self.tally)
        return [self.listener, *(descriptor for descriptor in beside if descriptor is not None)]

    def make_mode(self) -> IsolationMode:
        """Return the mode, as its class makes it."""
        module, _, name = self.mode.partition(":")
        __import__(module)
        mode: IsolationMode = getattr(sys.modules[module], name)(self.setting)
        return mode


def command(orders: int, worker: str = "") -> list[str]:
    """Return the command that serves by the orders in a file: as the master, or as `worker`."""
    words = (str(orders), worker) if worker else (str(orders),)
    return [sys.executable, *("-S", "-s", "-P"), "-c", _PROGRAM, *words]


def environment() -> dict[str, str]:
    """Return what the interpreter finds the server by and runs by, which is no secret.

    Nothing that would change what scripts find in it: it starts as that of a CGI program does.
    """
    kept = {name: value for name, value in os.environ.items() if name in _KEPT}
    return kept | BIND_NOW | {"PYTHONPATH": os.pathsep.join(import_path())}


def execute(orders: Orders, variables: Mapping[str, str]) -> NoReturn:
    """Become the server, with these variables in its environment as well. Raises OSError."""
    file = orders.written()
    for descriptor in (file, *orders.descriptors()):
        os.set_inheritable(descriptor, True)
    os.execve(sys.executable, command(file), {**environment(), **variables})


def refuse(error: Exception, control: bool) -> int:
    """Tell whoever started the server why it cannot serve; return the exit status for that.

    With `control`, as a line of JSON as well.
    """
    import json  # here, since it brings `re`, which a server that serves has no use for

    hint = getattr(error, "hint", "read what the server wrote above")
    if control:
        print(json.dumps({"ready": False, "reason": str(error), "hint": hint}), flush=True)
    print(f"error: {error}\nhint: {hint}", file=sys.stderr)
    return 2


def import_path() -> list[str]:
    """Return where this process finds what the standard library does not have."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [
        os.path.abspath(entry)
        for entry in sys.path
        if entry in ("", os.getcwd(), *given) or "site-packages" in entry
    ]


def leave_import_path() -> None:
    """Take the server's own packages off the import path: scripts see the standard library."""
    found = import_path()
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) not in found]
