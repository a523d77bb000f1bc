"""The change of identity that has no way back. Imports next to nothing, as `context`."""

from __future__ import annotations

import os


class CredentialError(RuntimeError):
    """The kernel reported success, but the credentials are not what was asked for.

    Never expected; whoever meets it must stop serving at once.
    """


def set_all_ids(uid: int, gid: int, groups: tuple[int, ...] = ()) -> None:
    """Set the groups (in ascending order), all three gids and all three uids; read them back.

    For a process with uid 0 that never set keep-capabilities this is final: when all its uids
    leave 0 the kernel clears its permitted and effective sets (capabilities(7), "Effect of user ID
    changes on capabilities"). Raises OSError, CredentialError.
    """
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    found = os.getresuid(), os.getresgid(), tuple(os.getgroups())
    if found != ((uid, uid, uid), (gid, gid, gid), groups):
        raise CredentialError(f"asked for {uid}, {gid}, {groups}, became {found}")
