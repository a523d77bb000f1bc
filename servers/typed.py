"""The little that the server needs of `typing` while it runs, without loading it.

What a server process has loaded, every fork of it copies: page tables at the fork, and pages as
soon as either side touches them. `typing`, and what it loads in its turn, would make a lean server
a third larger, for annotations that nobody evaluates. So the modules that a server is made of take
annotations from `typing` where `TYPE_CHECKING` says so only, and what has to exist from here.
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Any, NamedTuple
else:
    from _collections import _tuplegetter

    class _Facts(type):
        """Makes a tuple class of what `typing.NamedTuple` would make one of."""

        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, namespace)
            fields = tuple(namespace.pop("__annotations__"))
            defaults = tuple(namespace.pop(field) for field in fields if field in namespace)
            # As collections.namedtuple does: a function with these very parameters is the fastest.
            names = ", ".join(fields)
            source = f"lambda _cls, {names}: _new(_cls, ({names},))"
            new = eval(source, {"_new": tuple.__new__, "__builtins__": {}})
            new.__name__ = "__new__"
            new.__defaults__ = defaults
            getters = {
                field: _tuplegetter(place, f"Field number {place}")
                for place, field in enumerate(fields)
            }
            facts = {"__slots__": (), "__new__": new, "_fields": fields, **_METHODS, **getters}
            return type(name, (tuple,), facts | namespace)

    def _replace(facts: tuple[Any, ...], /, **changes: Any) -> tuple[Any, ...]:
        """Return a copy with other values for some fields. Raises TypeError for an unknown one."""
        return type(facts)(**(_as_dict(facts) | changes))

    def _as_dict(facts: tuple[Any, ...]) -> dict[str, Any]:
        """Return the fields' names and values, in order."""
        return dict(zip(facts._fields, facts, strict=True))

    def _plain(facts: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what `__new__` needs to make a copy, for pickle."""
        return tuple(facts)

    def _described(facts: tuple[Any, ...]) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in _as_dict(facts).items())
        return f"{type(facts).__name__}({values})"

    _METHODS = {
        "__repr__": _described,
        "__getnewargs__": _plain,
        "_replace": _replace,
        "_asdict": _as_dict,
    }

    class NamedTuple(metaclass=_Facts):
        """The base of facts: tuples whose places have names, as `typing.NamedTuple`."""


__all__ = ["NamedTuple", "TypingSpared"]


class TypingSpared:
    """While this is entered, libraries find a stand-in for `typing`, unless that is loaded.

    For those that want it at their own import, for annotations.
    """

    def __enter__(self) -> None:
        self._spared = "typing" not in sys.modules
        if self._spared:
            sys.modules["typing"] = _StandIn("typing")

    def __exit__(self, *_: object) -> None:
        if self._spared:
            del sys.modules["typing"]


class _StandIn(ModuleType):
    def __getattr__(self, _name: str) -> type[_Annotation]:
        return _Annotation


class _Annotation:
    def __class_getitem__(cls, _arguments: object) -> type[_Annotation]:
        return cls
