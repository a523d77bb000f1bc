"""A context made of others: its parts are left in reverse order, whatever happens."""

from contextlib import ExitStack

import pytest

from harness.trial.composite import CompositeContext


class Recorded(CompositeContext):
    """Enters two parts, and writes down when each is left."""

    def __init__(self, *, fails: bool = False) -> None:
        self.left: list[str] = []
        self._fails = fails

    def _enter(self, stack: ExitStack) -> None:
        stack.callback(self.left.append, "first")
        if self._fails:
            raise ZeroDivisionError
        stack.callback(self.left.append, "second")

    def add(self, part: str) -> None:
        self._stack.callback(self.left.append, part)


def test_parts_are_left_in_reverse_order_also_those_that_came_later() -> None:
    with Recorded() as context:
        context.add("third")
        assert context.left == []
    assert context.left == ["third", "second", "first"]


def test_parts_are_left_when_another_cannot_be_entered() -> None:
    context = Recorded(fails=True)
    with pytest.raises(ZeroDivisionError), context:
        pass
    assert context.left == ["first"]
