"""Changes of Unix identity: for good, or there and back. Each is read back before it is believed.

The order is the only one that works: supplementary groups, then gid, then uid, since the last step
gives up the right to make the others.
"""

from __future__ import annotations

import os

from servers.kernel import syscalls
from servers.kernel.all_ids import CredentialError, set_all_ids
from servers.typed import NamedTuple


class Identity(NamedTuple):
    """An effective uid and gid, and the supplementary groups in ascending order."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def current() -> Identity:
    """Return the calling process's effective identity."""
    return Identity(os.geteuid(), os.getegid(), tuple(sorted(os.getgroups())))


def drop_for_good(identity: Identity) -> None:
    """Become `identity` in every respect, with no way back and no capability left.

    A process that already is `identity` (an ordinary user who tries isobench) only loses its
    capabilities. Raises OSError when the kernel refuses, CredentialError when it did something
    else than it was asked.
    """
    if current() != identity or os.geteuid() == 0:
        become(identity)
    syscalls.capset(syscalls.Capabilities())


def become(identity: Identity) -> None:
    """Take all three uids, all three gids and the groups of `identity`, with no way back."""
    set_all_ids(*identity)


# The capabilities that mod_ruid2 keeps, and with them the hole it is known for: whoever runs in
# the process may raise them again.
_SWITCHING = syscalls.capability_mask(syscalls.CAP_SETUID, syscalls.CAP_SETGID)
RESTING = syscalls.Capabilities(0, _SWITCHING)
RAISED = syscalls.Capabilities(_SWITCHING, _SWITCHING)


def become_able_to_switch(home: Identity) -> None:
    """Become `home` with {SETUID, SETGID} permitted and nothing effective. Called once, as root."""
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
    become(home)
    syscalls.capset(RESTING)
    if syscalls.capget() != RESTING:
        raise CredentialError("the capability sets differ from {SETUID, SETGID} permitted")


class Switch:
    """Reversible changes of identity, in mod_ruid2's order (mod_ruid2.c, set_perm and suidback).

    At rest the process is `home` with {SETUID, SETGID} permitted and nothing effective.
    """

    def __init__(self, home: Identity) -> None:
        """Become `home`, keeping the two capabilities. Called once, as root."""
        self.home = home
        self._look = syscalls.CapabilityLook()
        self._raise = syscalls.CapabilityChange(RAISED)
        self._lower = syscalls.CapabilityChange(RESTING)
        self._drop = syscalls.CapabilityChange(syscalls.Capabilities())
        become_able_to_switch(home)

    def to(self, identity: Identity) -> None:
        """Become `identity`; the way back stays open.

        libcap's interface has mod_ruid2 read the sets before it changes them, so we do as well.
        Raises CredentialError.
        """
        try:
            self._look()
            self._raise()
            self._set(identity)
            # setuid made the process undumpable, which would hide its own /proc files from content.
            syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
            self._look()
            self._lower()
        except OSError as error:
            raise CredentialError(f"this process cannot become {identity}: {error}") from error

    def back(self) -> None:
        """Become `home` again."""
        self._raise()
        self._set(self.home)
        self._lower()

    def forbid_return(self) -> None:
        """Give up both capabilities, for good: whoever this process is now, it remains."""
        self._drop()
        if self._look.finds_any():
            raise CredentialError("a capability is left that was to be dropped")

    def _set(self, identity: Identity) -> None:
        os.setgroups(identity.groups)
        os.setgid(identity.gid)
        os.setuid(identity.uid)
        if (
            os.geteuid() != identity.uid
            or os.getegid() != identity.gid
            or tuple(os.getgroups()) != identity.groups
        ):
            raise CredentialError(f"asked for {identity}, became {current()}")
