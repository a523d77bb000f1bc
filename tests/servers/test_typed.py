"""What stands in the server for the little that it needs of `typing`."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from servers.typed import NamedTuple, TypingSpared
from tests.servers.live import ROOT


class Point(NamedTuple):
    """A place."""

    x: int
    y: int = 2

    def sum(self) -> int:
        return self.x + self.y


def test_facts_are_tuples_with_names() -> None:
    point = Point(1)
    assert point == (1, 2)
    assert (point.x, point.y, point.sum()) == (1, 2, 3)
    assert Point(y=5, x=4) == (4, 5)
    assert point._replace(x=7) == Point(7, 2)
    assert point._asdict() == {"x": 1, "y": 2}
    assert Point._fields == ("x", "y")
    assert repr(point) == "Point(x=1, y=2)"
    assert Point.__doc__ == "A place."
    assert pickle.loads(pickle.dumps(point)) == point


def test_facts_cannot_be_changed_nor_made_of_too_little() -> None:
    with pytest.raises(AttributeError):
        Point(1).x = 2  # type: ignore[misc]
    with pytest.raises(TypeError, match="'x'"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Point(1)._replace(z=1)  # type: ignore[call-arg]


def test_typing_is_spared_where_it_is_not_loaded() -> None:
    source = """
import sys
from servers.typed import TypingSpared
with TypingSpared():
    from typing import Optional
    assert Optional[int] is Optional
assert "typing" not in sys.modules
import typing
with TypingSpared():
    assert sys.modules["typing"] is typing
"""
    subprocess.run([sys.executable, "-S", "-c", source], cwd=ROOT, check=True)


def test_typing_that_is_loaded_stays() -> None:
    before = sys.modules["typing"]
    with TypingSpared():
        assert sys.modules["typing"] is before
    assert sys.modules["typing"] is before
