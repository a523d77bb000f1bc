"""How many descriptors a process may have (getrlimit(2), RLIMIT_NOFILE)."""

from __future__ import annotations

import resource

from servers.errors import Unavailable

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

_SPARE: Final = 64


def allow(number: int, what_for: str, remedy: str) -> tuple[int, int]:
    """See to it that this process may have so many, and some; return the limits that it had.

    `what_for` and `remedy` complete the message of Unavailable, which is raised where the hard
    limit is too low, and this process may not raise it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = number + _SPARE
    if soft != resource.RLIM_INFINITY and soft < needed:
        try:
            highest = hard if hard == resource.RLIM_INFINITY else max(hard, needed)
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, highest))
        except (OSError, ValueError):
            raise Unavailable(
                f"a process may have {hard} descriptors here, and {needed} are needed: {what_for}",
                f"raise the limit (ulimit -n {needed}), or {remedy}",
            ) from None
    return soft, hard


def affordable(wanted: int, each: int) -> int:
    """Return how many things of `each` descriptors a process may have here: 1 to `wanted`."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, (hard - _SPARE) // each))


def restore(limits: tuple[int, int]) -> None:
    """Set the limits that `allow` returned, in a process that is about to become a tenant."""
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
