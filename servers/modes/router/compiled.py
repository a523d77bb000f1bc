"""The front as a program: front.c, compiled for this host, in the place of the interpreter.

The process that the pool forks becomes www and executes it, so nothing of the server's memory is in
it. It gets what it needs by number: descriptors, limits, and the sites that the master knows.

The program is kept in the directory that the server was given for that (`--programs`), as in a run
that starts servers again and again; else beside this file, where the interpreter keeps the bytecode
of this file, and under the same conditions (PYTHONDONTWRITEBYTECODE): who can write there can
change the server anyway. Where it cannot be kept, it is compiled at each start.
"""

from __future__ import annotations

import os
import sys

from servers import c_programs, host_checks
from servers.errors import Unavailable
from servers.front.workers.worker import Worker

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import signal
    from typing import Final, NoReturn

    from servers.front.shared_memory.scoreboard import Slot
    from servers.front.shared_memory.tally import Tally
    from servers.modes.router import Mode
else:
    import _signal as signal

_FOLDER: Final = os.path.dirname(__file__)
_SOURCES: Final = ("front.c", "request.h", "answer.h")
_FLAGS: Final = (
    *("-std=c11", "-O2", "-Wall", "-Wextra", "-fPIE", "-pie", "-fstack-protector-strong"),
    *("-D_FORTIFY_SOURCE=2", "-Wl,-z,relro,-z,now"),
)


class CompiledFront(Worker):
    """Executes the program, in the place of a pool's worker."""

    executes = True
    tally_file = -1
    """The descriptor of the tally that requests are counted in, where they are."""
    _mode: Mode

    @classmethod
    def observed(cls, tally: Tally, _places: dict[str, int]) -> type[Worker]:
        """Return this class with the program told where to count; it knows the sites' order."""
        return type("ObservedFront", (cls,), {"tally_file": tally.file})

    def rehearse(self) -> None:
        """Do nothing: this process is forked once."""

    def restore_listener(self) -> None:
        """Do nothing: no script has come near it."""

    def serve(self, slot: Slot) -> NoReturn:
        """Take the mode's resting identity, and become the program for good."""
        root = os.open(self._mode.setting.sites, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        sites = self._sites_in_a_file()
        self._mode.child_init()
        self._die_with_the_master()
        # Its default would end the program, which takes it as soon as it can.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1,))
        os.set_blocking(self._listener.fileno(), False)
        descriptors = {
            "listener": self._listener.fileno(),
            "line": self._mode.line.fileno(),
            "board": self.board_file,
            "sites": sites,
            "root": root,
            "journal": self._mode.journal,
            "tally": self.tally_file,
        }
        for descriptor in descriptors.values():
            if descriptor >= 0:
                os.set_inheritable(descriptor, True)
        numbers = descriptors | {"slot": slot.number, "port": self._port} | self._bounds()
        words = [f"{name}={number}" for name, number in numbers.items()]
        os.execve(self._mode.program, ["front", *words], {})

    def _bounds(self) -> dict[str, int]:
        limits = self._limits
        return {
            "head": limits.head,
            "body": limits.body,
            "output": limits.output,
            "script_ms": int(limits.script * 1000),
            "client_ms": int(limits.client * 1000),
            "bound": self._mode.bound,
            "per_tenant": int(self._mode.option("per_tenant")),
            "idle_s": int(self._mode.option("idle")),
        }

    def _sites_in_a_file(self) -> int:
        """Return a file in memory of the sites there are, as `read_sites` in front.c has it."""
        file = os.memfd_create("sites", os.MFD_CLOEXEC)
        lines = (b"%d %b\0" % (one.owner.uid, os.fsencode(one.name)) for one in self._sites)
        rest = memoryview(b"".join(lines))
        while rest:
            rest = rest[os.write(file, rest) :]
        return file


def check_host(programs: str = "") -> None:
    """The program must be there, or a compiler to make it. Raises Unavailable."""
    if (program := _kept(programs)) is not None:
        os.close(program)
        return
    try:
        host_checks.c_compiler()
    except Unavailable as error:
        raise _or_the_other_front(error) from None


def program(private: str, programs: str = "") -> int:
    """Return a descriptor of the program, which is compiled if it is not kept.

    `programs` is the directory where it is kept, "" for that of this file's bytecode; `private` is
    one for it where it cannot be kept. Raises Unavailable.
    """
    found = _kept(programs)
    if found is not None:
        return found
    target = _place(programs)
    unwanted = sys.dont_write_bytecode and not programs
    unkept = unwanted or not os.access(os.path.dirname(target), os.W_OK)
    if unkept:
        target = os.path.join(private, "front")
    try:
        c_programs.compile_to(target, os.path.join(_FOLDER, "front.c"), _FLAGS)
    except Unavailable as error:
        raise _or_the_other_front(error) from None
    descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    if unkept:
        os.unlink(target)
    return descriptor


def _place(programs: str) -> str:
    """Return where the program is kept."""
    folder = programs or os.path.join(_FOLDER, "__pycache__")
    sources = [os.path.join(_FOLDER, name) for name in _SOURCES]
    return c_programs.place(folder, "front", sources, _FLAGS)


def _kept(programs: str) -> int | None:
    """Return a descriptor of the program that is kept, None where nobody but us could trust it."""
    return c_programs.opened(_place(programs))


def _or_the_other_front(error: Unavailable) -> Unavailable:
    """Return the error with a hint that names the front which needs no compiler."""
    return Unavailable(str(error), f"{error.hint}, or choose router:front=python")
