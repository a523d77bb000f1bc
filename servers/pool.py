"""The prefork master: start workers, watch over their time, replace the dead, stop them all.

The master stays privileged and never touches a request. It is the first process of its own pid
namespace where the host allows that (see `containment`), and the reaper of all orphans otherwise,
so that whatever a script leaves running ends with the server.

When a script's time is up:

1. at the limit, its worker gets SIGALRM and gives the client its 504;
2. one grace period later all descendants of the worker are killed: a program under a tenant's uid
   can only be killed by the master;
3. another grace period later the worker is killed as well, and replaced.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from typing import Final, TextIO

from servers import linux
from servers.mode import IsolationMode
from servers.scoreboard import Scoreboard, Slot, Usage, usage_of
from servers.sites import Sites
from servers.worker import Worker

_CONTROL_CHUNK: Final = 4096  # PIPE_BUF
_WATCH_SECONDS: Final = 0.25
_GRACE_SECONDS: Final = 1.0
_PUBLISH_SECONDS: Final = 0.5
_START_SECONDS: Final = 30.0
_MOST_FAILED_STARTS: Final = 5
_NS_LAST_PID: Final = "/proc/sys/kernel/ns_last_pid"


class WorkersFail(RuntimeError):
    """Worker after worker ended before it was ready to serve; the reason is in the log."""


class Pool:
    """A fixed number of workers of one mode on one listening socket."""

    def __init__(
        self,
        mode: IsolationMode,
        listener: socket.socket,
        sites: Sites,
        workers: int,
        control: TextIO | None = None,
    ) -> None:
        """Prepare a pool; `control` carries the commands of `_obey`, one a line."""
        self._mode = mode
        self._listener = listener
        self._sites = sites
        self._control = control
        self._board = Scoreboard(workers)
        self._workers: dict[int, Slot] = {}
        self._warned: dict[int, int] = {}
        self._reaped = Usage()
        self._failed_starts = 0
        self._wake = -1
        self._stopping = False

    def run(self, ready: dict[str, object]) -> None:
        """Serve until SIGTERM, SIGINT or the end of the control stream.

        Prints `ready` as one JSON line once every worker waits for connections. Raises
        WorkersFail when they do not get that far.
        """
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        self._wake, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Workers inherit this, so that a question cannot kill one that is not ready to answer it.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        # Nothing that exists now will be garbage; without this a collection in a forked process
        # would write to, and so copy, every page of objects (gc.freeze).
        gc.collect()
        gc.freeze()
        try:
            self._start_all()
            _say(ready)
            self._watch()
        finally:
            signal.set_wakeup_fd(-1)
            self._stop_all()

    def _on_stop(self, *_: object) -> None:
        self._stopping = True

    # Starting

    def _start_all(self) -> None:
        told, tell = os.pipe2(os.O_CLOEXEC)
        for slot in self._board.slots:
            self._start(slot, tell)
        os.close(tell)
        missing = len(self._board.slots)
        deadline = time.monotonic() + _START_SECONDS
        with open(told, "rb", buffering=0) as pipe:
            while missing and time.monotonic() < deadline and not self._stopping:
                if select.select([pipe], [], [], _WATCH_SECONDS)[0]:
                    if not (answers := pipe.read(missing)):
                        break
                    missing -= len(answers)
        if missing and not self._stopping:
            raise WorkersFail(f"{missing} workers did not start")

    def _start(self, slot: Slot, tell: int | None = None) -> None:
        process = os.fork()
        if process:
            self._workers[process] = slot
            return
        status = 1
        try:
            self._become_worker()
            self._mode.child_init()
            worker = Worker(self._listener, self._mode, self._sites, slot)
            slot.start()
            if tell is not None:
                os.write(tell, b".")
                os.close(tell)
            worker.serve()
            status = 0
        except BaseException:
            kind, error, trace = sys.exc_info()
            if kind and error:
                sys.__excepthook__(kind, error, trace)
        finally:
            os._exit(status)

    def _become_worker(self) -> None:
        """Give up what is the master's: its signals, its streams and its environment.

        A script that could read from the master's pipe would leave it waiting there.
        """
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.close(signal.set_wakeup_fd(-1))
        os.close(self._wake)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        os.close(nothing)
        os.environ.clear()

    # Watching

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._control is not None:
            poll.register(self._control, select.POLLIN)
        while not self._stopping:
            for descriptor, _ in poll.poll(_WATCH_SECONDS * 1000):
                if descriptor == self._wake:
                    os.read(self._wake, 1024)
                elif self._control is not None:
                    self._obey(os.read(self._control.fileno(), _CONTROL_CHUNK))
            self._reap()
            self._hurry_the_overdue()

    def _obey(self, text: bytes) -> None:
        """Carry out commands: `usage` prints a line of JSON, the end of the stream stops us.

        Each line arrives whole: it was written at once, and pipes do not split that (pipe(7)).
        """
        if not text:
            self._stopping = True
        for command in text.split():
            if command == b"usage":
                _say(self._usage())

    def _usage(self) -> dict[str, object]:
        """Return what master and workers have used and served, since the server's start."""
        awaited = {}
        for process, slot in self._workers.items():
            awaited[process] = slot.published()
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGUSR1)
        deadline = time.monotonic() + _PUBLISH_SECONDS
        while time.monotonic() < deadline and any(
            self._workers[process].published() == before for process, before in awaited.items()
        ):
            time.sleep(0.0005)
        total = self._reaped.plus(usage_of(resource.getrusage(resource.RUSAGE_SELF)))
        for slot in self._workers.values():
            total = total.plus(slot.usage())
        return {
            "served": sum(slot.served() for slot in self._board.slots),
            "processes_made": _processes_made(),
            "cpu_s": total.cpu_ns / 1e9,
            "page_faults": total.minor_faults + total.major_faults,
            "context_switches": total.voluntary_switches + total.involuntary_switches,
        }

    def _reap(self) -> None:
        for process, status, usage in _ended_children():
            slot = self._workers.pop(process, None)
            if slot is None:
                continue  # an orphan that a script left behind
            self._warned.pop(process, None)
            self._reaped = self._reaped.plus(usage)
            if status != 0:
                _log(f"worker {process} ended: {_explain(status)}")
            self._failed_starts = 0 if slot.started() else self._failed_starts + 1
            if self._failed_starts >= _MOST_FAILED_STARTS:
                raise WorkersFail(f"{self._failed_starts} workers in a row did not start")
            if not self._stopping:
                slot.renew()
                self._start(slot)

    def _hurry_the_overdue(self) -> None:
        limit = self._mode.setting.limits.script
        for process, slot in self._workers.items():
            late = slot.busy_seconds() - limit
            if late < 0:
                self._warned.pop(process, None)
                continue
            steps = self._warned.get(process, 0)
            if late < steps * _GRACE_SECONDS:
                continue
            self._warned[process] = steps + 1
            if steps == 0:
                _signal(process, signal.SIGALRM)
                continue
            for descendant in descendants(process):
                _signal(descendant, signal.SIGKILL)
            if steps > 1:
                _log(f"worker {process} does not come back from a script: killed")
                _signal(process, signal.SIGKILL)

    # Stopping

    def _stop_all(self) -> None:
        """Kill every process below the master, until there is none."""
        self._listener.close()
        while True:
            _kill_all_but_us()
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def _kill_all_but_us() -> None:
    if os.getpid() == 1:  # all others of the namespace are below us, whatever /proc shows
        _signal(-1, signal.SIGKILL)
        return
    for process in descendants(os.getpid()):
        _signal(process, signal.SIGKILL)


def descendants(ancestor: int) -> list[int]:
    """Return the process ids of all processes below `ancestor`, as far as /proc shows them."""
    children: dict[int, list[int]] = {}
    for process, parent in _parents():
        children.setdefault(parent, []).append(process)
    found: list[int] = []
    unseen = [ancestor]
    while unseen:
        below = children.get(unseen.pop(), [])
        found += below
        unseen += below
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # proc_pid_stat(5): the name in parentheses may itself hold spaces and parentheses.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it has ended in the meantime
        yield int(name), int(fields[1])


def _ended_children() -> Iterator[tuple[int, int, Usage]]:
    while True:
        try:
            process, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if process == 0:
            return
        yield process, os.waitstatus_to_exitcode(status), usage_of(usage)


def _processes_made() -> int | None:
    """Return the last process id of our pid namespace: a count of processes and threads made.

    None where the server shares its pid namespace with others, or the kernel does not tell.
    """
    if os.getpid() != 1:
        return None
    try:
        with open(_NS_LAST_PID) as file:
            return int(file.read())
    except OSError:
        return None


def _signal(process: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, number)


def _explain(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    return f"signal {signal.Signals(-status).name}"


def _say(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)


def _log(text: str) -> None:
    print(f"[master] {text}", file=sys.stderr, flush=True)
