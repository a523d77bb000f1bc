"""The arguments of the command that is carried out, defaults included, as run.json has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType

_NONE: Mapping[str, object] = MappingProxyType({})
_given: ContextVar[Mapping[str, object]] = ContextVar("arguments", default=_NONE)


@contextmanager
def given(arguments: Mapping[str, object]) -> Iterator[None]:
    """Make these the arguments of the command that is carried out inside."""
    token = _given.set(arguments)
    try:
        yield
    finally:
        _given.reset(token)


def arguments() -> dict[str, object]:
    """Return the arguments by name, as JSON takes them; none where no command is carried out."""
    return {name: _as_json(value) for name, value in _given.get().items()}


def _as_json(value: object) -> object:
    if isinstance(value, list):
        return [_as_json(one) for one in value]
    return str(value) if isinstance(value, Path) else value
