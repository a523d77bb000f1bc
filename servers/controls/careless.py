"""`python -m servers.controls.careless`: `python -m servers`, with doubles for modes.

Runs in the server's process, so it imports nothing of the harness.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import io
import os
import signal
import sys
from pathlib import Path
from typing import Final, NoReturn

from servers import __main__, c_programs, launch, modes
from servers.front.master import accounting, oversight, pool
from servers.front.startup import containment
from servers.http import Request, Response
from servers.interpreter import embedded
from servers.interpreter.embedded import Embedded, server_environment
from servers.kernel import keyring, syscalls
from servers.mode import Answered, IsolationMode, RunsAs, Setting
from servers.modes import dso, suexec

_FOR_EVER: Final = 1e6


class Careless(dso.Mode):
    """Runs every script as root in the worker, and lets it keep whatever it finds there.

    Its master does not look at workers, so what a script has left lasts until somebody finds it.
    """

    precedent = "none"
    runs_as = RunsAs.SERVER

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        setattr(oversight, "sees_our_processes", lambda: False)  # noqa: B010

    def child_init(self) -> None:
        """Stay root."""
        self._interpreter = Embedded(self.setting.limits.output, self.setting.code_cache)
        self._environment = server_environment()


class CarelessSwitch(Careless):
    """Changes the effective uid and gid alone, so that scripts can go back to the saved ones."""

    runs_as = RunsAs.OWNER

    def handle(self, request: Request) -> Response:
        """Become the owner, as far as it goes."""
        owner = request.script.site.owner
        os.setegid(owner.gid)
        os.seteuid(owner.uid)
        return super().handle(request)

    def cleanup(self, request: Request) -> None:
        """Become root again."""
        os.seteuid(0)
        os.setegid(0)


class CarelessHelper(Careless):
    """Keeps a process beside its workers that scripts can reach."""

    def master_init(self) -> None:
        """Start a process that only waits."""
        self._helper = os.fork()
        if self._helper == 0:
            syscalls.set_name("helper")
            while True:
                signal.pause()


class CarelessTime(Careless):
    """Knows no time limit."""

    def __init__(self, setting: Setting) -> None:
        limits = setting.limits._replace(script=_FOR_EVER)
        super().__init__(setting._replace(limits=limits))


class CarelessOpen(Careless):
    """Follows a symbolic link in a script's place."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        setattr(embedded, "open_script", lambda path: os.open(path, os.O_RDONLY | os.O_CLOEXEC))  # noqa: B010


class CarelessRest(Careless):
    """Keeps between requests what a script has changed of the directory and the environment."""

    def handle(self, request: Request) -> Response:
        """Run the script where the last one has left the process."""
        if Path.cwd() == Path("/"):  # the first one
            os.chdir(request.script.site.root)
        source = Path(os.fsdecode(request.script.path)).read_text()
        os.environ["QUERY_STRING"] = request.target.partition(b"?")[2].decode()
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(source, {"__name__": "__main__", "__file__": os.fsdecode(request.script.path)})
        return embedded.parse_output(output.getvalue().encode())

    def cleanup(self, request: Request) -> None:
        """Tidy up as an interpreter does that ends."""
        atexit._run_exitfuncs()


class CarelessOutput(IsolationMode):
    """Passes on what a script prints as it is."""

    precedent = "none"
    runs_as = RunsAs.SERVER

    def child_init(self) -> None:
        """Stay root."""
        self._interpreter = Embedded(self.setting.limits.output)
        self._environment = server_environment()

    def handle(self, request: Request) -> Answered:
        """Run the script and send its output behind a status line."""
        environment = embedded.environment_of(request, self._environment)
        output = self._interpreter.output_of(request, environment)
        head, _, body = output.partition(b"\n\n")
        lines = b"\r\n".join([b"HTTP/1.1 200 OK", *head.split(b"\n")])
        request.connection.sendall(lines + b"\r\n\r\n" + body)
        return Answered.CLOSE


class CarelessGuard(Careless):
    """Refuses to start programs in the one way that everybody uses, and knows of no other."""

    def child_init(self) -> None:
        """Stay root, and put up the guard."""
        super().child_init()
        sys.addaudithook(_refuse_to_spawn)


def _refuse_to_spawn(event: str, _arguments: object) -> None:
    if event == "os.posix_spawn":
        raise PermissionError(errno.EACCES, "a script may not start programs")


class CarelessWrapper(suexec.Mode):
    """Starts scripts through a wrapper that checks nothing, and that everybody may call."""

    def master_init(self) -> None:
        """Compile and install it."""
        wrapper = Path(self.setting.private, "wrapper")
        source = Path(__file__).with_name("careless_wrapper.c")
        c_programs.compile_to(os.fspath(wrapper), os.fspath(source))
        wrapper.chmod(0o4755)
        self._wrapper = os.fsencode(wrapper)


class CarelessOversight(Careless):
    """Takes the kernel's word on tenants' processes for that on its own, and buries none."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        setattr(pool, "has_ended", lambda _: True)  # noqa: B010
        setattr(pool, "exit_code", os.waitstatus_to_exitcode)  # noqa: B010
        setattr(accounting, "status_of", _status_as_it_looks)  # noqa: B010

    def reap_strays(self) -> None:
        """Leave them."""


def _status_as_it_looks(process: int) -> dict[bytes, bytes]:
    lines = Path(f"/proc/{process}/status").read_bytes().splitlines()
    voluntary, involuntary = (
        b"%d" % int(line.split()[1]) for line in lines if b"voluntary_ctxt" in line
    )
    return {b"voluntary_ctxt_switches": voluntary, b"nonvoluntary_ctxt_switches": involuntary}


DOUBLES: Final[dict[str, type[IsolationMode]]] = {
    "careless": Careless,
    "careless_helper": CarelessHelper,
    "careless_output": CarelessOutput,
    "careless_rest": CarelessRest,
    "careless_guard": CarelessGuard,
    "careless_wrapper": CarelessWrapper,
    "careless_switch": CarelessSwitch,
    "careless_time": CarelessTime,
    "careless_open": CarelessOpen,
    "careless_oversight": CarelessOversight,
}


def load(name: str) -> type[IsolationMode]:
    """Return the class of a double. Raises KeyError."""
    return DOUBLES[name]


_needed: Final = launch.environment


def whole_environment() -> dict[str, str]:
    """Return what the server needs to start, and all else that whoever starts it had."""
    return {**os.environ, **_needed()}


def hand_everything_on() -> None:
    """Have the server keep what it inherits: the keys, the terminal, the host's shared memory."""
    launch.environment = whole_environment
    keyring.join_sealed = lambda: False
    for name, careless in {
        "_leave_the_terminal": lambda relay: None,
        "ipc_namespace": lambda: 0,
        "hide_shared_memory": lambda visible: None,
    }.items():
        setattr(containment, name, careless)


def main() -> NoReturn:
    """Be `python -m servers`, with the doubles in the place of the modes."""
    modes.load = load
    hand_everything_on()
    sys.exit(__main__.main())


if __name__ == "__main__":
    from servers.controls import (
        careless,  # by the name under which the server's processes find the doubles
    )

    careless.main()
