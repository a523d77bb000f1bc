"""Session keyrings: what a process inherits of keys, and hands on to its children (keyrings(7)).

Strategy: a server first takes itself out of the session keyring of whoever starts it, and into a
new one that is empty and *sealed*: nobody may write to it, revoke it or change that, not even who
possesses it. All its processes inherit that, so workers that are used again have no common place to
leave a key in, at no cost for a request. A process that is about to become a tenant, while it is
still root, joins one of its own, in which the tenant's script may keep keys as long as it lives.

For workers that are used again a new one for each request would not do: an unprivileged user may
have some 200 keys (kernel.keys.maxkeys), and the kernel lags behind in destroying them. A new
session keyring has no link to any user's keyring, as one that pam_keyinit has made does.

Imports next to nothing, as `context`.
"""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

# linux/keyctl.h
_JOIN_SESSION_KEYRING: Final = 1
_SETPERM: Final = 5
_CLEAR: Final = 7
_INVALIDATE: Final = 21
_SESSION_KEYRING: Final = -3
_USER_KEYRING: Final = -4
_USER_SESSION_KEYRING: Final = -5

_POINTER_BYTES: Final = ctypes.sizeof(ctypes.c_void_p)
_NUMBERS: Final = {  # asm/unistd_64.h; the others are those of asm-generic/unistd.h
    "x86_64": 250,
    "aarch64": 219,
    "loongarch64": 219,
    "riscv64": 219,
}

# Of a 32-bit process the numbers are others.
_number: Final = _NUMBERS.get(os.uname().machine) if _POINTER_BYTES == 8 else None
_system_call: Final = ctypes.PyDLL(None)["syscall"]


def join_new() -> bool:
    """Put the calling process into a new session keyring; say whether the kernel has any.

    It has none where it was built without, or where a container's seccomp profile forbids
    keyctl(2): then scripts have no way to keys either.
    """
    return _number is not None and _system_call(_number, _JOIN_SESSION_KEYRING, None) > 0


def join_sealed() -> bool:
    """Put the calling process into a new session keyring that is of no use; as `join_new`."""
    return join_new() and _system_call(_number, _SETPERM, _SESSION_KEYRING, 0) == 0


def forget_users() -> None:
    """Remove the keyrings that belong to the user whom this process is, and what is in them."""
    if _number is not None:
        for whose in (_USER_KEYRING, _USER_SESSION_KEYRING):
            _system_call(_number, _CLEAR, whose)
            _system_call(_number, _INVALIDATE, whose)
