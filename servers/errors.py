"""The exception of the servers that crosses rooms. Imports nothing, as `context`."""

from __future__ import annotations


class Unavailable(Exception):
    """This host cannot run the mode. `reason` says why, `hint` what to do about it."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
