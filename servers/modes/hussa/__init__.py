"""`hussa`: as `ruid2`, but calls that change identity are refused to content from outside.

Hussa hooks system calls in a changed kernel. Here a seccomp filter does, which stays on the worker
for good: calls that the server never makes it refuses outright, and the three that the server needs
it lets pass for those who know a secret, which they carry in registers that the calls do not use.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from typing import Final

from servers import host_checks
from servers.errors import Unavailable
from servers.http import Request, Response
from servers.interpreter.embedded import Embedded, environment_of, server_environment
from servers.kernel import seccomp, syscalls
from servers.kernel.all_ids import CredentialError
from servers.kernel.credentials import RAISED, RESTING, Identity, current
from servers.kernel.seccomp import (
    NOTIFY,
    Comparison,
    Operator,
    Rule,
    low_word_has,
    low_word_is,
    refuse,
)
from servers.mode import IsolationMode, RunsAs
from servers.modes.hussa import supervisor
from servers.modes.hussa.supervisor import Secret, SignedCall

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline

_REFUSE: Final = refuse(errno.EPERM)

# linux/sched.h: a new process in the same memory, which no count of threads shows.
_CLONE_VM: Final = 0x00000100
_KINDS_OF_SHARING: Final = _CLONE_VM | 0x00004000 | 0x00010000  # with CLONE_VFORK, CLONE_THREAD

# A second filter is refused since it could pretend to the server that its way back succeeded. A
# process has all capabilities in a user namespace of its own.
_NEVER: Final = (
    *(Rule(call, _REFUSE) for call in (
        "setuid", "setgid", "setreuid", "setregid", "setfsuid", "setfsgid", "setgroups",
        "seccomp", "setns",
    )),
    *(Rule("prctl", _REFUSE, (low_word_is(0, option),)) for option in (
        syscalls.PR_SET_KEEPCAPS, syscalls.PR_SET_SECCOMP, syscalls.PR_CAPBSET_DROP,
        syscalls.PR_SET_SECUREBITS, syscalls.PR_CAP_AMBIENT,
    )),
    *(Rule(call, _REFUSE, (low_word_has(0, syscalls.CLONE_NEWUSER),)) for call in (
        "clone", "unshare",
    )),
    Rule("clone", _REFUSE, (
        Comparison(0, Operator.MASKED_EQUAL, _KINDS_OF_SHARING, _CLONE_VM),
    )),
    Rule("clone3", refuse(errno.ENOSYS)),
)  # fmt: skip

_OWN_IDENTITY: Final = ("setresgid", "setresuid")
_OWN: Final = ("capset", *_OWN_IDENTITY)

_THREADS: Final = "/proc/self/task"
_PATIENCE_SECONDS: Final = 0.05


class Mode(IsolationMode):
    """Switches to the owner and back; content's own attempts to switch are refused from outside."""

    precedent = "Hussa (FIT 2009)"
    runs_as = RunsAs.OWNER
    recipe = ("guarded_calls",)
    options = {"guard": ("supervisor", "filter")}  # noqa: RUF012 - read-only, see IsolationMode

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here."""
        from servers.profiling.timelines import SWITCH_BACK, SWITCHING, ProbePoint, Timeline

        return Timeline(
            SWITCHING, SWITCH_BACK, (ProbePoint(f"{__name__}:_Switch.to", end="switched"),)
        )

    def check_host(self) -> None:
        """Changing identity takes root at the start; the guard takes seccomp, and its registers."""
        host_checks.other_identities(self.setting)
        seccomp.check_available()
        if self.option("guard") == "supervisor" and not seccomp.has_action(NOTIFY):
            raise Unavailable("seccomp cannot notify a process", "use Linux 5.5 or newer")
        if sys.maxsize < 2**32:
            raise Unavailable("registers are too small for the secret", "use a 64-bit system")

    def child_init(self) -> None:
        """Become www with CAP_SETUID and CAP_SETGID, under the guard from here on."""
        self._interpreter = Embedded(self.setting.limits.output, self.setting.code_cache)
        self._environment = server_environment()
        os.setgroups(self.setting.www.groups)
        syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
        secret = supervisor.new_secret()
        if self.option("guard") == "supervisor":
            supervisor.supervise(_asking_filter(), secret)
        else:
            syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
            seccomp.install(_knowing_filter(secret))
        self._switch = _Switch(self.setting.www, secret)

    def handle(self, request: Request) -> Response:
        """Become the owner and run the script; `cleanup` is what goes back."""
        try:
            self._switch.to(request.script.site.owner)
        except OSError as error:
            raise CredentialError(f"cannot become the owner: {error.strerror}") from error
        return self._interpreter.run(request, environment_of(request, self._environment))

    def cleanup(self, request: Request) -> None:
        """Become www again, in a process that holds no thread of the script's."""
        _await_threads()
        self._switch.back()


def _asking_filter() -> bytes:
    """Return the filter that asks the supervisor about the calls that the server needs."""
    asking = [Rule(call, NOTIFY) for call in _OWN]
    return seccomp.compile_filter(seccomp.ALLOW, [*_NEVER, *asking])


def _knowing_filter(secret: Secret) -> bytes:
    """Return the filter that looks for the secret by itself, and refuses root in any case.

    The kernel gives a filter back only to who has CAP_SYS_ADMIN (ptrace(2)).
    """
    rules = [
        Rule(call, _REFUSE, (condition,))
        for call in _OWN
        for condition in supervisor.unsigned(secret)
    ]
    rules += [
        Rule(call, _REFUSE, (low_word_is(argument, 0),))
        for call in _OWN_IDENTITY
        for argument in range(3)
    ]
    return seccomp.compile_filter(seccomp.ALLOW, [*_NEVER, *rules])


class _Switch:
    """Reversible changes of identity in signed calls, and as few of them as will do.

    At rest the process is `home` with {SETUID, SETGID} permitted and effective; while it is another
    nothing is effective. Nothing changes the supplementary groups: they are home's from the start.
    """

    def __init__(self, home: Identity, secret: Secret) -> None:
        """Become `home`. Called once, as root with keep-capabilities set and home's groups."""
        self._home = home
        self._setresgid = SignedCall("setresgid", secret)
        self._setresuid = SignedCall("setresuid", secret)
        self._raise = _CapabilityChange(RAISED, secret)
        self._lower = _CapabilityChange(RESTING, secret)
        self.back()
        self._raise()  # leaving uid 0 has emptied the effective set (capabilities(7))
        if syscalls.capget() != RAISED:
            raise CredentialError("the capability sets differ from {SETUID, SETGID}")

    def to(self, identity: Identity) -> None:
        """Become `identity`; the way back stays open to whoever knows the secret."""
        self._become(identity)
        # setresuid made the process undumpable, which would hide its own /proc files from content.
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
        self._lower()

    def back(self) -> None:
        """Become `home` again."""
        self._raise()
        self._become(self._home)

    def _become(self, identity: Identity) -> None:
        uid, gid = identity.uid, identity.gid
        self._setresgid(gid, gid, gid)
        self._setresuid(uid, uid, uid)
        if (
            os.getresuid() != (uid, uid, uid)
            or os.getresgid() != (gid, gid, gid)
            or tuple(os.getgroups()) != identity.groups
        ):
            raise CredentialError(f"asked for {identity}, became {current()}")


class _CapabilityChange:
    """A prepared, signed capset(2) of the calling thread."""

    def __init__(self, target: syscalls.Capabilities, secret: Secret) -> None:
        self._change = syscalls.CapabilityChange(target)
        self._call = SignedCall("capset", secret)

    def __call__(self) -> None:
        self._call(*self._change.arguments)


def _await_threads() -> None:
    """Return when this thread is the only one of the process.

    One that a script has left would see the next tenant's request. One that a script has joined may
    have some microseconds to live: it wakes the other before it ends. Raises CredentialError.
    """
    deadline = 0.0
    while os.stat(_THREADS).st_nlink - 2 > 1:  # "." and ".." (proc(5))
        deadline = deadline or time.monotonic() + _PATIENCE_SECONDS
        if time.monotonic() > deadline:
            raise CredentialError("a script left a thread in the worker")
        time.sleep(0.0005)
