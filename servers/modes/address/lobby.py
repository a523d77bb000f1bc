"""Where workers of one tenant leave connections for each other: a pair of sockets that all share.

A message is one connection: its descriptor, and the client's address in text. What nobody takes
stays there, be it that the tenant has no worker any more: the next one takes it.

All that have it are the tenant's own processes and the supervisor, which takes nothing out.
"""

from __future__ import annotations

import sys

from servers.typed import NamedTuple

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import socket
    from typing import Final
else:
    import _socket as socket

_LONGEST: Final = 64
_INT_BYTES: Final = 4
_CALM: Final = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


class Handed(NamedTuple):
    """A connection that was left in the lobby; `descriptor` is -1 where there was none."""

    descriptor: int
    remote: tuple[str, int] = ("", 0)


class Lobby:
    """Both ends: what is put into the one comes out of the other."""

    def __init__(self, entrance: socket.socket, way_out: socket.socket) -> None:
        self._entrance = entrance
        self._exit = way_out

    @classmethod
    def new(cls) -> Lobby:
        """Make one. Raises OSError."""
        return cls(*socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))

    @classmethod
    def of(cls, entrance: int, way_out: int) -> Lobby:
        """Return the one whose descriptors these are."""
        family, kind = socket.AF_UNIX, socket.SOCK_SEQPACKET
        return cls(
            socket.socket(family, kind, 0, entrance), socket.socket(family, kind, 0, way_out)
        )

    def descriptors(self) -> tuple[int, int]:
        """Return the descriptors of both ends."""
        return self._entrance.fileno(), self._exit.fileno()

    def fileno(self) -> int:
        """Return the descriptor that can be read when there is something."""
        return self._exit.fileno()

    def close(self) -> None:
        """Close both ends."""
        self._entrance.close()
        self._exit.close()

    def is_sound(self) -> bool:
        """Return whether it is what it was made as: scripts can have shut it down."""
        return self._look() != b""

    def is_empty(self) -> bool:
        """Return whether nothing can be taken."""
        return not self._look()

    def _look(self) -> bytes | None:
        """Return a byte of what comes next, None where nothing is there, b"" if it is shut."""
        try:
            return self._exit.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def put(self, descriptor: int, remote: tuple[str, int]) -> bool:
        """Leave a connection; return False where there is no room for it."""
        rights = descriptor.to_bytes(_INT_BYTES, sys.byteorder)
        address = f"{remote[1]} {remote[0]}".encode()
        try:
            self._entrance.sendmsg(
                [address], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], _CALM
            )
        except OSError:
            return False
        return True

    def take(self) -> Handed | None:
        """Return what has been left, if another has not taken it; None if the lobby is shut."""
        flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
        try:
            text, ancillary, _, _ = self._exit.recvmsg(
                _LONGEST, socket.CMSG_SPACE(_INT_BYTES), flags
            )
        except BlockingIOError:
            return Handed(-1)
        except OSError:
            return None
        if not text:
            return None
        port, _, host = text.decode("latin-1").partition(" ")
        for _, _, rights in ancillary:
            if port.isdecimal():
                return Handed(int.from_bytes(rights, sys.byteorder), (host, int(port)))
        return Handed(-1)
