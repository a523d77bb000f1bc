"""Results of a pure function that are worth keeping. Imports next to nothing, as `context`.

What functools.lru_cache does, which would bring `collections` and more, for every fork to copy.
"""

from __future__ import annotations

from sys import getsizeof

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, TypeVar

    Key = TypeVar("Key")
    Result = TypeVar("Result")

_LITTLE: Final = 256 * 1024
_OF_AN_ENTRY: Final = 300  # bytes of two dictionaries, while these grow


def size_of(thing: object) -> int:
    """Return the bytes of memory of a value: an atom, a tuple of values, or code.

    What is part of it several times is counted each time.
    """
    size, left = 0, [thing]
    while left:
        part = left.pop()
        size += getsizeof(part)
        if isinstance(part, (tuple, frozenset)):
            left += part
        elif isinstance(part, _Code):
            left += (part.co_consts, part.co_names, part.co_varnames)
            left += (part.co_linetable, part.co_exceptiontable, part.co_qualname)
    return size


_Code: Final = type(size_of.__code__)


class Bounded(dict["Key", "Result"]):
    """A dictionary of at most `most` bytes, for keys that clients or scripts choose.

    They choose without an end, and how long each of them is. The first to come is the first to go.
    `size` is what its entries were said to take.
    """

    __slots__ = ("_most", "_sizes", "size")

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._sizes: dict[Key, int] = {}
        self.size = 0

    def keep(self, key: Key, result: Result, size: int) -> None:
        """Keep an entry of `size` bytes, in place of that of the same key and of the oldest ones.

        One that takes more than a quarter of the room is not kept: others are of more use.
        """
        self.forget(key)
        size += _OF_AN_ENTRY
        if size > self._most // 4:
            return
        # In this order, since a script's time may be up in between.
        self._sizes[key] = size
        self.size += size
        self[key] = result
        while self.size > self._most:
            for oldest in self._sizes:
                self.forget(oldest)
                break
            else:
                self.size = 0

    def forget(self, key: Key) -> None:
        """Take an entry out, if it is there."""
        self.pop(key, None)
        self.size -= self._sizes.pop(key, 0)


class Remembered(Bounded["Key", "Result"]):
    """Looks up `results[argument]`, and has the function make it where it is not known yet."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[Key], Result], most: int = _LITTLE) -> None:
        """`most` is the room in bytes."""
        super().__init__(most)
        self._function = function

    def __missing__(self, argument: Key) -> Result:
        result = self._function(argument)
        self.keep(argument, result, size_of(argument) + size_of(result))
        return result
