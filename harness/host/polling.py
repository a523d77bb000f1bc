"""Waiting for what nobody announces: it is looked for again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

EVERY_S: Final = 0.01

Seen = TypeVar("Seen")


def wait_until(
    look: Callable[[], Seen],
    within_s: float,
    *,
    enough: Callable[[Seen], bool] = bool,
    every_s: float = EVERY_S,
) -> Seen:
    """Look until what is seen is `enough`, or `within_s` have passed; return what was seen last.

    It is looked at least once. Where the wait was in vain, what is returned is not enough.
    """
    deadline = time.monotonic() + within_s
    while not enough(seen := look()) and time.monotonic() < deadline:
        time.sleep(every_s)
    return seen
