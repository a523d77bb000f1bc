"""The one exception that a user is meant to read."""

from __future__ import annotations


class IsobenchError(Exception):
    """What went wrong, in one line, with a `hint` that says what to do about it.

    `exit_code` is what the command ends with: 2 for wrong usage or an unusable host (the
    default), 1 for a condition or a verification that failed.
    """

    def __init__(self, message: str, hint: str = "", exit_code: int = 2) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code
