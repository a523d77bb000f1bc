"""Waiting for what nobody announces: it is looked for again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

EVERY_S: Final = 0.01

Seen = TypeVar("Seen")


def wait_until(look: Callable[[], Seen], within_s: float, every_s: float = EVERY_S) -> Seen:
    """Look until what is seen is true, or `within_s` have passed; return what was seen last.

    It is looked at least once. A false return value says that the wait was in vain.
    """
    deadline = time.monotonic() + within_s
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(every_s)
    return seen
