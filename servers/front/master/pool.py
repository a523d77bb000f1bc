"""The prefork master: starts workers, enforces time limits, replaces ended workers, stops them all.

The master stays privileged and never handles a request. Where the host allows it, the master is the
first process of its own pid namespace (see `containment`); otherwise it is a subreaper. Either way,
whatever a script leaves running ends with the server. What happens to a script that exceeds its
time limit is in `overdue`.
"""

from __future__ import annotations

import os
import select
import stat
import sys
import time

from servers.front.master.accounting import Accounting
from servers.front.master.overdue import Overdue
from servers.front.master.oversight import Oversight
from servers.front.master.spawn import Inheritance, ServerCommand
from servers.front.shared_memory.scoreboard import Scoreboard, Slot, scoreboard_file
from servers.front.shared_memory.usage import Usage, usage_of
from servers.front.workers.worker import Worker
from servers.kernel import detach, syscalls
from servers.kernel.process_table import descendants
from servers.kernel.reaping import exit_code, has_ended, kill, send
from servers.mode import IsolationMode
from servers.sites import Sites

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import signal
    import socket
    from collections.abc import Callable, Iterator
    from typing import Final
else:  # without `enum`, of which its constants are made
    import _signal as signal

_CONTROL_CHUNK: Final = 4096  # PIPE_BUF
_WATCH_SECONDS: Final = 0.25
_LOOK_AT_STARTERS_SECONDS: Final = 0.002
_OVERSEE_SECONDS: Final = 1.0
_START_SECONDS: Final = 30.0
_MOST_FAILED_STARTS: Final = 5
_STOP_SECONDS: Final = 10.0
_STANDARD_ERROR: Final = 2
_BLOCK: Final = 512  # of st_blocks (stat(3type))
_HEEDED: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)


class WorkersFail(RuntimeError):
    """Several workers in a row ended before they were ready to serve; the log has the reason."""


class Pool:
    """A fixed number of workers of one mode on one listening socket."""

    def __init__(
        self,
        mode: IsolationMode,
        listener: socket.socket,
        sites: Sites,
        workers: int,
        command: ServerCommand | None = None,
        control: int | None = None,
        log_limit: int = 0,
    ) -> None:
        """Prepare a pool. Its workers are executed by `command`, or forked where that is None.

        `control` is a descriptor that commands are read from, one a line (see `_obey`). `log_limit`
        is the maximum size in bytes of the file that standard error goes to; 0 means no limit.
        """
        self._mode = mode
        self._listener = listener
        workers = mode.fixed_workers or workers
        self._worker = (mode.pool_worker or Worker)(os.getpid(), listener, mode, sites)
        self._control = control
        self._log_limit = log_limit
        self._parent = 0
        self._command = command
        in_file = command is not None or self._worker.executes
        self._board_file = self._worker.board_file = scoreboard_file(workers) if in_file else -1
        self._board = Scoreboard(workers, self._board_file)
        self._board.turns.prepare()
        self._workers: dict[int, Slot] = {}
        self._begun: dict[int, tuple[float, int]] = {}  # when, and what its slot had served by then
        self._oversight = Oversight(listener.fileno())
        self._vacant: list[Slot] = []
        self._overdue = Overdue(mode.setting.limits.script, self._oversight)
        self._accounting = Accounting(mode, self._board.slots)
        self._failed_starts = 0
        self._next_look = self._next_oversight = 0.0
        self._ready = False
        self._signals = -1
        self._stopping = False

    def run(self, ready: str) -> None:
        """Serve until SIGTERM, SIGINT or the end of the control stream.

        Prints the line `ready` once every worker accepts connections. Raises WorkersFail if the
        workers do not start.
        """
        self._outlive_the_parent()
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        self._signals = _signals_as_a_file()
        os.environ.clear()  # which no worker should see
        if self._command is None:
            self._worker.rehearse()
        try:
            self._start_all()
            self._ready = True
            self._note_what_is_fit()
            _say(ready)
            self._watch(lambda: self._stopping, _WATCH_SECONDS)
        finally:
            self._stop_all()

    def _outlive_the_parent(self) -> None:
        """Survive the parent's death, to stop the server then (see `containment`).

        If the master is the first process of a pid namespace, the kernel kills all others when it
        ends. Otherwise the master must survive to kill them.
        """
        self._parent = os.getppid()
        if os.getpid() != 1:
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 0)

    # Starting

    def _start_all(self) -> None:
        for slot in self._board.slots:
            self._start(slot)
        deadline = time.monotonic() + _START_SECONDS
        self._watch(lambda: self._has_started(deadline), _LOOK_AT_STARTERS_SECONDS)

    def _has_started(self, deadline: float) -> bool:
        missing = sum(not slot.started() for slot in self._board.slots)
        if missing and time.monotonic() > deadline:
            raise WorkersFail(f"{missing} workers did not start")
        return self._stopping or not missing

    def _start(self, slot: Slot) -> None:
        """Start a worker in the slot, or retry later if the system cannot make a process now.

        Reads the slot's count of requests first: the new worker may have served one already when
        the fork returns here.
        """
        served = slot.served()
        try:
            process = self._new_process(slot)
        except OSError as error:
            _log(f"cannot start a worker: {error}")
            self._vacant.append(slot)
        else:
            self._workers[process] = slot
            self._begun[process] = time.monotonic(), served

    def _new_process(self, slot: Slot) -> int:
        if self._command:
            inheritance = Inheritance(self._board_file, slot.number, os.getpid())
            return self._command.execute(inheritance)
        return detach.fork(lambda: self._serve(slot))

    def _serve(self, slot: Slot) -> None:
        self._become_worker()
        self._worker.serve(slot)

    def _become_worker(self) -> None:
        """Give up the master's signal descriptor, signal mask and standard streams.

        A script that could read from the master's pipe would leave the master waiting there.
        """
        self._board.keep_from_children()
        os.close(self._signals)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        detach.redirect_to_null(0, 1)

    # Watching

    def _watch(self, done: Callable[[], bool], seconds: float) -> None:
        """Replace ended workers and obey commands until `done`, called at least every `seconds`.

        A worker may end after each request, so work that concerns all workers is done only every
        _WATCH_SECONDS.
        """
        poll = select.poll()
        poll.register(self._signals, select.POLLIN)
        if self._control is not None:
            poll.register(self._control, select.POLLIN)
        while not done():
            events = [descriptor for descriptor, _ in poll.poll(seconds * 1000)]
            if self._signals in events:
                self._heed_signals()
            if self._control is not None and self._control in events:
                self._obey(os.read(self._control, _CONTROL_CHUNK))
            if time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + _WATCH_SECONDS
                self._look_after_workers()

    def _heed_signals(self) -> None:
        if any(number != signal.SIGCHLD for number in syscalls.read_signals(self._signals)):
            self._stopping = True
        else:
            self._reap()

    def _look_after_workers(self) -> None:
        vacant, self._vacant = self._vacant, []
        for slot in vacant:
            self._start(slot)
        for process in self._overdue.hurry(self._workers):
            _log(f"worker {process} does not return from a script: killed")
        if os.getppid() != self._parent:
            self._stopping = True
        if self._log_limit:
            bound_log(_STANDARD_ERROR, self._log_limit)
        if self._ready and time.monotonic() >= self._next_oversight:
            self._next_oversight = time.monotonic() + _OVERSEE_SECONDS
            self._restore_listener()
            for process, slot in self._workers.items():
                self._oversee(process, slot)

    def _restore_listener(self) -> None:
        try:
            self._worker.restore_listener()
        except OSError as error:
            _log(f"cannot listen any more: {error}")

    def _note_what_is_fit(self) -> None:
        for process in self._workers:
            try:
                self._oversight.note_first(process)
            except OSError:
                continue  # it has ended
            return

    def _oversee(self, process: int, slot: Slot) -> None:
        """Have a worker reap children that scripts left; kill the worker if it can no longer serve.

        A worker that ends after one request anyway is left alone: the client has been told so.
        """
        since, _ = self._begun[process]
        if not slot.started() and time.monotonic() < since + _START_SECONDS:
            return
        if self._oversight.has_strays(process):
            send(process, signal.SIGUSR1)
        if self._mode.max_requests == 1:
            return
        idle, served = slot.busy_seconds() <= 0, slot.served()
        fault = self._oversight.finds_fault(process, served, idle)
        # A request that has begun meanwhile: its script may be what was seen.
        meanwhile = slot.busy_seconds() > 0 or slot.served() != served
        if fault and not (idle and meanwhile):
            _log(f"worker {process} {fault}: killed")
            kill(process)

    def _obey(self, text: bytes) -> None:
        """Obey commands: `usage` prints a line of JSON; the end of the stream stops the server.

        Each line arrives whole: a write of up to PIPE_BUF bytes is atomic (pipe(7)).
        """
        if not text:
            self._stopping = True
        for command in text.split():
            if command == b"usage":
                _say(self._accounting.report(self._workers, self._reap))

    def _reap(self) -> None:
        for process, status, usage in _ended_children():
            slot = self._workers.pop(process, None)
            if slot is None:
                self._mode.child_ended(process)
            else:
                self._replace(process, slot)
                if status != 0:
                    _log(f"worker {process} ended: {_explain(status)}")
            self._accounting.reaped = self._accounting.reaped.plus(usage)

    def _replace(self, process: int, slot: Slot) -> None:
        """Replace a worker that has ended: immediately if it served a request.

        Otherwise at the next look: if each new worker ended at once, the master would do nothing
        else than fork.

        Raises WorkersFail if several in a row end before they have started, unless the server has
        been ready: from then on a script can make it appear so.
        """
        _, served = self._begun.pop(process)
        has_served = slot.served() != served or slot.busy_seconds() > 0
        started = slot.started()
        slot.renew()
        self._overdue.forget(process)
        self._oversight.forget(process)
        if started:
            self._failed_starts = 0
        if started and has_served:
            self._start(slot)
            return
        self._vacant.append(slot)
        if started:
            return
        self._failed_starts += 1
        if self._failed_starts >= _MOST_FAILED_STARTS and not self._ready:
            raise WorkersFail(f"{self._failed_starts} workers in a row did not start")

    # Stopping

    def _stop_all(self) -> None:
        """Kill every process below the master until none is left, or _STOP_SECONDS have passed.

        A process that the kernel cannot kill at once (uninterruptible sleep) is not waited for.
        """
        self._listener.close()
        poll = select.poll()
        poll.register(self._signals, select.POLLIN)
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            _kill_all_but_us()
            for _ in _ended_children():
                pass
            if not _has_children():
                return
            if poll.poll(_WATCH_SECONDS * 1000):
                syscalls.read_signals(self._signals)


def _signals_as_a_file() -> int:
    """Block the master's signals, and return a signalfd(2) to read them from.

    The master has no handlers, so a new worker has none to reset: that would copy a tenth of its
    pages.
    """
    for number in _HEEDED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEEDED)
    return syscalls.signalfd(_HEEDED)


def bound_log(descriptor: int, longest: int) -> None:
    """Empty a file that exceeds `longest` bytes: scripts write to it without limit."""
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_blocks * _BLOCK > longest:
            os.ftruncate(descriptor, 0)
            _log(f"earlier output exceeded {longest} bytes and was removed")
    except OSError:
        pass  # what cannot be emptied is no file of ours


def _kill_all_but_us() -> None:
    if os.getpid() == 1:  # all others of the namespace are below us, whatever /proc shows
        kill(-1)
        return
    for process in descendants(os.getpid()):
        kill(process)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _ended_children() -> Iterator[tuple[int, int, Usage]]:
    """Yield each child that has ended, its exit code, and its resource usage.

    A child that has made the master its tracer and stopped would wait for it forever, so it is
    killed (ptrace(2), PTRACE_TRACEME).
    """
    while True:
        try:
            process, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if process == 0:
            return
        if has_ended(status):
            yield process, exit_code(status), usage_of(usage)
        else:
            kill(process)


def _explain(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    from signal import Signals  # here, since it brings `enum`, and workers seldom die of one

    try:
        return f"signal {Signals(-status).name}"
    except ValueError:  # between SIGRTMIN and SIGRTMAX they have none
        return f"signal {-status}"


def _say(message: str) -> None:
    print(message, flush=True)


def _log(text: str) -> None:
    try:
        print(f"[master] {text}", file=sys.stderr, flush=True)
    except OSError:
        pass  # scripts share the open file, and can make it one that does not take this (fcntl(2))
