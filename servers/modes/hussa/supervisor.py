"""A process that answers a worker's calls for another identity, as the kernel asks it (seccomp(2)).

Strategy: the worker and the content that it runs share one address space, so nothing in there can
tell them apart. The supervisor is outside. A filter makes the kernel hold certain calls of the
worker and ask the supervisor, which lets a call go on or makes it fail with EPERM.

Rule 1: the server's own calls are signed. They carry a secret in two registers that the call itself
does not use; seccomp shows all six. There are no messages and no state: what is not signed is
refused, whenever it comes, also amid a switch, from a signal handler or a finaliser of a script.

Rule 2: only the worker's first thread is answered with yes. Threads and children that content has
started inherit the filter and are told apart by their thread id.

Rule 3: it decides by registers alone, which the kernel has copied. What a pointer points to may
change between the question and the call (seccomp_unotify(2), "SECCOMP_USER_NOTIF_FLAG_CONTINUE").

Rule 4: it fails closed. Without a listener the kernel fails the calls with ENOSYS, and the
supervisor ends with its worker, whose children then have nobody to ask.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
from typing import Final

from servers.kernel import detach, seccomp, syscalls

Secret = tuple[int, int]

_SIGNED_FROM: Final = 4  # of the six registers, 0 to 5
_FIRST_DESCRIPTOR: Final = 3
_LAST_DESCRIPTOR: Final = 0xFFFF
_LISTENING: Final = b"."
_ID: Final = 0xFFFFFFFF

# linux/seccomp.h: struct seccomp_notif with its struct seccomp_data, struct seccomp_notif_resp, and
# the ioctls that take them.
_QUESTION: Final = struct.Struct("=QIIiIQ6Q")
_ANSWER: Final = struct.Struct("=QqiI")
_NO_QUESTION: Final = bytes(_QUESTION.size)
_NOTIF_RECV: Final = 0xC0502100
_NOTIF_SEND: Final = 0xC0182101
_NOTIF_SET_FLAGS: Final = 0x40082104
_FLAG_CONTINUE: Final = 1 << 0
_FD_SYNC_WAKE_UP: Final = 1 << 0

_libc: Final = ctypes.CDLL(None, use_errno=True)


def new_secret() -> Secret:
    """Return 128 random bits, as two registers hold them."""
    low, high = struct.unpack("=QQ", os.urandom(16))
    return low, high


def unsigned(secret: Secret) -> tuple[seccomp.Comparison, ...]:
    """Return conditions of which at least one holds for a call without the secret."""
    return tuple(
        seccomp.Comparison(register, seccomp.Operator.NOT_EQUAL, word)
        for register, word in enumerate(secret, _SIGNED_FROM)
    )


class SignedCall:
    """A prepared system call of up to three arguments that carries the secret."""

    def __init__(self, call: str, secret: Secret) -> None:
        self._number = ctypes.c_long(seccomp.number_of(call))
        # glibc's syscall() passes on all six registers, however many a call has.
        self._signature = [ctypes.c_ulong(word) for word in secret]

    def __call__(self, first: int, second: int, third: int = 0) -> None:
        """Make the call, again where a signal interrupted the wait for the answer.

        Raises OSError, with ENOSYS when the supervisor is gone.
        """
        registers = [ctypes.c_ulong(value) for value in (first, second, third, 0)]
        while _libc.syscall(self._number, *registers, *self._signature) < 0:
            number = ctypes.get_errno()
            if number == errno.ENOSYS:
                raise OSError(number, "the supervisor of this worker is gone")
            if number != errno.EINTR:
                raise OSError(number, os.strerror(number))


def supervise(program: bytes, secret: Secret) -> None:
    """Put this process under a supervisor: `program` is the filter that says what to ask it about.

    In a worker that still is root, as the supervisor stays, out of reach of what runs under any
    other uid. Raises OSError.
    """
    worker = os.getpid()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            child = detach.fork(lambda: _leave_to_a_grandchild(theirs, worker, secret))
            os.waitpid(child, 0)
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        listener = seccomp.install(program, seccomp.NEW_LISTENER)
        try:
            socket.send_fds(ours, [_LISTENING], [listener])
        finally:
            os.close(listener)
        if ours.recv(1) != _LISTENING:
            raise OSError(errno.ESRCH, "the supervisor did not start")


def _leave_to_a_grandchild(channel: socket.socket, worker: int, secret: Secret) -> None:
    """Fork once more and return: the orphan, which supervises, goes to the master.

    As the worker's child it would be found by a script that waits for all its children, and be
    killed with them when a script's time is up.
    """
    if os.fork():
        return
    os.closerange(_FIRST_DESCRIPTOR, channel.fileno())
    os.closerange(channel.fileno() + 1, _LAST_DESCRIPTOR)
    _, (listener, *_), _, _ = socket.recv_fds(channel, 1, 1)
    # Only now is the master our parent, for whose death the kernel is to watch.
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    syscalls.set_name("supervisor")
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    syscalls.capset(syscalls.Capabilities())
    ended = os.pidfd_open(worker)
    with channel:
        channel.sendall(_LISTENING)
    Supervisor(listener, worker, secret).answer_until(ended)


class Supervisor:
    """Answers what a worker's filter asks."""

    def __init__(self, listener: int, worker: int, secret: Secret) -> None:
        self._listener = listener
        self._worker = worker
        self._secret = secret
        self._identity_calls = {seccomp.number_of(call) for call in ("setresgid", "setresuid")}

    def grants(self, thread: int, call: int, registers: tuple[int, ...]) -> bool:
        """Return whether a call may go on.

        A change of uid or gid must be of all three at once, so that none is left to go back to,
        and root is refused even to those who know the secret.
        """
        if thread != self._worker or registers[_SIGNED_FROM:] != self._secret:
            return False
        if call not in self._identity_calls:
            return True
        first, second, third = (register & _ID for register in registers[:3])
        return first == second == third != 0

    def answer_until(self, ended: int) -> None:
        """Answer until the descriptor `ended` becomes readable, or nobody is left to ask."""
        # From Linux 6.6 the two can hand the processor to each other instead of waking another one.
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._listener, _NOTIF_SET_FLAGS, _FD_SYNC_WAKE_UP)
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(ended, select.POLLIN)
        while poll.poll() == [(self._listener, select.POLLIN)]:
            # ENOENT: who asked has been killed, or a signal has interrupted the call.
            with contextlib.suppress(FileNotFoundError):
                self._answer()

    def _answer(self) -> None:
        question = fcntl.ioctl(self._listener, _NOTIF_RECV, _NO_QUESTION)
        identifier, thread, _, call, _, _, *registers = _QUESTION.unpack(question)
        if self.grants(thread, call, tuple(registers)):
            answer = _ANSWER.pack(identifier, 0, 0, _FLAG_CONTINUE)
        else:
            answer = _ANSWER.pack(identifier, 0, -errno.EPERM, 0)
        fcntl.ioctl(self._listener, _NOTIF_SEND, answer)
