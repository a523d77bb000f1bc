"""The one exception that this package raises for what a person can mend."""


class WorkloadError(Exception):
    """Something that a person can mend; `hint` says how, in one sentence."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint
