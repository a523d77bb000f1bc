"""A context made of others, which are left in reverse order (contextlib.ExitStack)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from types import TracebackType
from typing import Self


class CompositeContext(ABC):
    """A context whose parts are entered by `_enter`, and left with it."""

    _stack: ExitStack

    @abstractmethod
    def _enter(self, stack: ExitStack) -> None:
        """Enter the parts into `stack`. If this raises, those entered by then are left."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._enter(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)
