"""Poll a condition until it holds or a deadline passes."""

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
    """Poll until the result is `enough`, or `within_s` have passed; return the last result.

    Polls at least once. After a timeout, the returned result is not enough.
    """
    deadline = time.monotonic() + within_s
    while not enough(seen := look()) and time.monotonic() < deadline:
        time.sleep(every_s)
    return seen
