"""Resets what a server inherits from its caller and must not pass on to tenants' scripts.

A shell, a terminal, a service manager or a debugger can set process attributes that children
inherit. Each is reset here to what a server needs, or the start is refused. The operator's choice
of processors (`taskset`), a nice value above 0, and all resource limits but that for core files are
kept.
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
    """Reset what this process has inherited; return whether it now has its own session keyring.

    Raises Unavailable if what was inherited would give scripts root's privileges.
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
    """Open /dev/null for each closed standard stream: else a socket would get its number."""
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
    """Unblock all signals, and reset ignored ones to their default action (signal(7)).

    If SIGCHLD stayed ignored, no child could be waited for. Signals in `but` stay ignored, as
    nohup(1) wants it; the server itself resets these as well.
    """
    for number in signal.valid_signals() - {*_PYTHONS_OWN, *but}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _be_somewhere() -> None:
    """Change to / if the working directory has been removed: imports would fail there."""
    try:
        os.getcwd()
    except OSError:
        os.chdir("/")


def _rank_as_others() -> None:
    """Give up any priority over the host's other processes that scripts would inherit."""
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
    """Disable core files: one in a site would hold data of other tenants from a worker's memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _forget_personality() -> None:
    """Turn address randomisation on again (see setarch -R), from the next exec on."""
    ctypes.CDLL(None).personality(ctypes.c_ulong(0))


def _keep_no_capability_for_others() -> None:
    """Make sure that becoming a tenant gives up all of root's privileges (capabilities(7))."""
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
            f"securebits are set ({bits:#x}) that would let a process keep capabilities when it "
            "becomes a tenant",
            "start isobench outside of what set them (capsh, setpriv --securebits, systemd's "
            "SecureBits=)",
        )
