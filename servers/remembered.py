"""Results of a pure function that are worth keeping. Imports nothing, as `stage`.

What functools.lru_cache does, which would bring `collections` and more, for every fork to copy.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Key = TypeVar("Key")
    Result = TypeVar("Result")


class Remembered(dict["Key", "Result"]):
    """Looks up `results[argument]`, and has the function make it where it is not known yet.

    All is forgotten when there are `most` results: arguments come from clients, without an end.
    """

    __slots__ = ("_function", "_most")

    def __init__(self, function: Callable[[Key], Result], most: int = 256) -> None:
        super().__init__()
        self._function = function
        self._most = most

    def __missing__(self, argument: Key) -> Result:
        result = self._function(argument)
        if len(self) >= self._most:
            self.clear()
        self[argument] = result
        return result
