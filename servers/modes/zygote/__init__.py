"""`zygote`: a lean process that has loaded what scripts import is forked for each of them.

The worker is a front without any privilege: it parses the request and finds the script. Beside it
stands its zygote (`zygote_process`), which is root, restrained as harache's worker is, and which
hears nothing of a request but whom to become. Its child becomes the tenant, reads the job from a
channel made for the request, runs it and answers through the channel.

A front has a zygote of its own, so that neither has more than one request at a time to know of: a
common one would need a table of children, and its death would be the death of all requests.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Final

import servers
from servers import host_checks
from servers.http import Request, Response
from servers.interpreter.child import Job
from servers.interpreter.embedded import ScriptFailed, environment_of, server_environment
from servers.interpreter.forked import Answer, Jobs, read_answer
from servers.kernel import syscalls
from servers.kernel.confinement import restrain
from servers.kernel.credentials import Identity, drop_for_good
from servers.launch import BIND_NOW
from servers.mode import IsolationMode, RunsAs, Setting
from servers.modes.zygote.zygote_process import CONTROL, END, READY, pack, run_message

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline

_NEEDED: Final = syscalls.capability_mask(
    syscalls.CAP_SETUID, syscalls.CAP_SETGID, syscalls.CAP_KILL
)
_PRELOADS: Final = {
    "common": ("datetime", "http.client", "json", "sqlite3"),
    "none": (),
}
_PACKAGE: Final = Path(servers.__path__[0])
# Without an entry on the import path, which would take reading the package's parent directory.
_PACKAGES: Final = (
    "import sys\n"
    "for name in ('servers', 'servers.modes', 'servers.modes.zygote'):\n"
    "    package = sys.modules[name] = type(sys)(name)\n"
    f"    package.__path__ = [{str(_PACKAGE)!r} + name[len('servers'):].replace('.', '/')]\n"
)


def program(prelude: str = "") -> str:
    """Return what the zygote executes, with the statements `prelude` before its own."""
    own = "from servers.modes.zygote import zygote_process as zygote; zygote.main()"
    return f"{_PACKAGES}{prelude}{own}"


class ZygoteEnded(RuntimeError):
    """The worker has lost its zygote, and is of no more use."""


class Mode(IsolationMode):
    """Has a pre-warmed process fork; the child becomes the owner, runs the script and ends."""

    precedent = "SOCK zygotes (USENIX ATC 2018); Android; mod_privileges SECURE"
    runs_as = RunsAs.OWNER
    recipe = ("fork", "child", "identity", "switch")
    options = {"preload": tuple(_PRELOADS)}  # noqa: RUF012 - read-only, see IsolationMode

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here."""
        from servers.profiling.timelines import (
            BACK,
            CREDENTIALS,
            EMBEDDED,
            FRONT,
            STAGE_PROBE,
            ProbePoint,
            Step,
            Timeline,
        )

        return Timeline(
            (
                *FRONT,
                Step("ask zygote", "spawning"),
                Step("fork", "forked"),
                Step("close descriptors", "begun"),
                CREDENTIALS,
                Step("take job", "taken"),
                *EMBEDDED,
                Step("answer", "answered"),
                *BACK,
            ),
            (Step("have child reaped", "cleaned"),),
            (
                ProbePoint(f"{__name__}:Zygote._send", "spawning"),
                ProbePoint(f"{__name__}:read_answer", end="answered"),
            ),
            executed=(
                ProbePoint("os:fork", child="forked"),
                ProbePoint(f"{__name__}.zygote_process:set_all_ids", "begun", "switched"),
                ProbePoint(f"{__name__}.zygote_process:_receive_job", end="taken"),
                STAGE_PROBE,
            ),
        )

    def check_host(self) -> None:
        """Changing identity takes root."""
        host_checks.other_identities(self.setting)

    def child_init(self) -> None:
        """Start the zygote with what little power it needs, then become www for good."""
        self._environment = server_environment()
        self._jobs = Jobs(self.setting.code_cache)
        restrain(self.setting.sites, _NEEDED, executes=str(_PACKAGE))
        self._zygote = Zygote(self.setting, _PRELOADS[self.option("preload")], self.prelude)
        drop_for_good(self.setting.www)

    def handle(self, request: Request) -> Response:
        """Have the script run by the zygote's child."""
        job = self._jobs.of(request, environment_of(request, self._environment))
        answer = self._zygote.run(job, request.script.site.owner)
        return self._jobs.response(job, answer)

    def reap_strays(self) -> None:
        """Have the zygote do it, which is the parent of all that scripts can make a child of."""
        self._zygote.reap_strays()

    def cleanup(self, request: Request) -> None:
        """Have the child reaped, and killed first if its time ran out."""
        self._zygote.end()


class Zygote:
    """The front's end of the talk with its zygote. `end` must follow each `run`, in any case."""

    def __init__(self, setting: Setting, modules: tuple[str, ...], prelude: str = "") -> None:
        """Start the zygote and wait until it is ready. Raises ZygoteEnded when it never is.

        `prelude` is what it runs before its program (`IsolationMode.prelude`).
        """
        self._output_limit = setting.limits.output
        self._in_use = False
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = os.posix_spawn(
                sys.executable,
                [
                    *(sys.executable, "-I", "-S", "-B", "-c", program(prelude)),
                    *(str(self._output_limit), *modules),
                ],
                BIND_NOW,
                file_actions=((os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL),),
                setpgroup=0,  # out of reach of Ctrl-C, whose receiver is the master
                setsigdef=(signal.SIGUSR1,),
            )
        if self._control.recv(len(READY)) != READY:
            raise ZygoteEnded("the zygote ended before it was ready")
        signal.signal(signal.SIGCHLD, self._on_child_ended)

    def run(self, job: Job, owner: Identity) -> Answer:
        """Have a job done by a child with the identity `owner`, and return what it answered.

        Raises ScriptFailed when it ends without an answer, ScriptTimeout.
        """
        self._in_use = True
        channel, theirs = socket.socketpair()
        with channel:
            try:
                with theirs:
                    self._send(run_message(owner.uid, owner.gid), theirs)
                channel.sendall(pack(job))
                return read_answer(channel.fileno(), self._output_limit)
            except (BrokenPipeError, ConnectionResetError):
                raise ScriptFailed("its process ended before it answered") from None

    def end(self) -> None:
        """End the child, if there is one. Raises BrokenPipeError when the zygote is gone."""
        if self._in_use:
            self._control.send(END)
            self._in_use = False

    def reap_strays(self) -> None:
        """Have children reaped that scripts have left to the zygote. Between two jobs."""
        self._control.send(END)

    def _send(self, message: bytes, channel: socket.socket) -> None:
        rights = channel.fileno().to_bytes(4, sys.byteorder)
        self._control.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])

    def _on_child_ended(self, _signal: int, _frame: FrameType | None) -> None:
        """End an idle worker whose zygote has ended. One in a request first answers that."""
        if os.waitpid(self._process, os.WNOHANG)[0] and not self._in_use:
            raise ZygoteEnded("its zygote ended")
