"""What a server inherits from its caller, and must not pass on to tenants' scripts.

Whatever a process can set for its children, it can set before it starts a server: by a shell, a
terminal, a service manager or a debugger. Here each is put as a server needs it, or the start is
refused. What stays as the operator has set it, since it is for the operator to choose: processors
(`taskset`), a nice value above 0, and all resource limits but that of core files.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import Final, TextIO

from servers.errors import Unavailable
from servers.kernel import keyring, syscalls

# linux/prctl.h
_PR_GET_SECUREBITS: Final = 27
_PR_SET_TIMERSLACK: Final = 29
_PR_SET_THP_DISABLE: Final = 41
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_DEFAULT_SLACK_NS: Final = 50_000

_OOM_SCORE: Final = "/proc/self/oom_score_adj"
_PYTHONS_OWN: Final = (signal.SIGPIPE, signal.SIGXFSZ)  # which it ignores in itself


def clean() -> bool:
    """Put this process in order; return whether it has a session keyring of its own now.

    Raises Unavailable where what was inherited would give scripts the power of root.
    """
    open_standard_streams()
    heed_signals()
    os.umask(0o022)
    _be_somewhere()
    _rank_as_others()
    _leave_no_core_files()
    _forget_personality()
    _keep_no_capability_for_others()
    return keyring.join_sealed()


def open_standard_streams() -> None:
    """Put /dev/null where a standard stream is closed: a socket would get its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            os.set_inheritable(descriptor, True)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:  # what Python makes of a closed one
            setattr(sys, name, _text_to(descriptor))


def _text_to(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, errors="backslashreplace", closefd=False)


def heed_signals(but: tuple[int, ...] = (signal.SIGHUP,)) -> None:
    """Unblock all signals, and take their default for those that are ignored (signal(7)).

    With SIGCHLD ignored, nobody could wait for a child. `but` for those that a user of nohup wants
    ignored; the server itself lets go of these as well.
    """
    for number in signal.valid_signals() - {*_PYTHONS_OWN, *but}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _be_somewhere() -> None:
    """Leave a directory that is there no more, in which not even modules can be looked for."""
    try:
        os.getcwd()
    except OSError:
        os.chdir("/")


def _rank_as_others() -> None:
    """Let go of what would place scripts before the host's other processes."""
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    syscalls.prctl(_PR_SET_TIMERSLACK, _DEFAULT_SLACK_NS)
    syscalls.prctl(_PR_SET_THP_DISABLE, 0)
    try:
        with open(_OOM_SCORE, "r+") as file:
            if int(file.read()) < 0:
                file.seek(0)
                file.write("0")
    except OSError:
        return  # /proc is masked


def _leave_no_core_files() -> None:
    """A worker's memory, and what other tenants have left in it, must not come to lie in a site."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _forget_personality() -> None:
    """Have the kernel place memory at random again (setarch -R), from the next exec on."""
    ctypes.CDLL(None).personality(ctypes.c_ulong(0))


def _keep_no_capability_for_others() -> None:
    """Whoever becomes a tenant must lose all of root's power by it (capabilities(7))."""
    held = syscalls.capget()
    if held.inheritable:
        syscalls.capset(held._replace(inheritable=0))
    try:
        syscalls.prctl(syscalls.PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
        if syscalls.prctl(_PR_GET_SECUREBITS):
            syscalls.prctl(syscalls.PR_SET_SECUREBITS, 0)
        bits = syscalls.prctl(_PR_GET_SECUREBITS)
    except OSError:
        bits = syscalls.prctl(_PR_GET_SECUREBITS)
    if bits and os.geteuid() == 0:
        raise Unavailable(
            f"securebits are set here ({bits:#x}), by which a process could stay powerful when it "
            "becomes a tenant",
            "start isobench outside of what set them (capsh, setpriv --securebits, systemd's "
            "SecureBits=)",
        )
