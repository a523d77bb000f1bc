"""What values of JSON look like, so that those who read them need not ask. Pure.

A shape is a type, or a tuple of shapes of which one must fit; `[shape]` is a list whose elements
all have it; a mapping is an object whose members, as far as they are there, have theirs; `Needed`
is one whose members must all be there. `object` fits everything. What a shape does not name may be
there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any


class Needed(dict[str, Any]):
    """The shapes of members that must be there."""


NUMBER = (int, float)
NONE = type(None)
TEXTS = [str]
OBJECT: Mapping[str, Any] = MappingProxyType({})


def misfits(value: object, shape: Any, name: str) -> Iterator[str]:
    """Yield what of a value named `name` does not fit a shape, in words."""
    if isinstance(shape, tuple):
        if not any(next(misfits(value, one, name), None) is None for one in shape):
            yield f"{name} is {_shown(value)}"
    elif isinstance(shape, list):
        yield from _misfits_in_list(value, shape[0], name)
    elif isinstance(shape, Mapping):
        yield from _misfits_in_object(value, shape, name)
    elif not isinstance(value, shape) or (shape is int and isinstance(value, bool)):
        yield f"{name} is {_shown(value)}"


def _misfits_in_list(value: object, shape: Any, name: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{name} is {_shown(value)}"
        return
    for place, one in enumerate(value):
        yield from misfits(one, shape, f"{name}[{place}]")


def _misfits_in_object(value: object, shape: Mapping[str, Any], name: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{name} is {_shown(value)}"
        return
    for member, inner in shape.items():
        if member in value:
            yield from misfits(value[member], inner, f"{name}.{member}")
        elif isinstance(shape, Needed):
            yield f"{name} has no {member}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
