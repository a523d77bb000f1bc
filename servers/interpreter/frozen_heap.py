"""The heap that a process has when it begins to fork: for good, and with children shared for good.

Parent and children share the pages of a heap until one of them writes to them, and in CPython even
to look at an object is to write to it: its count of references is part of it. The objects that are
there before the first fork are used by all children, and are never freed. So they are made
*immortal*: references to them are no longer counted (PEP 683, CPython 3.12), and what only is
looked at stays shared. `gc.freeze` does the same for what a garbage collection writes.

CPython makes objects immortal itself, but offers no function for it: the lower half of the count
is given the value that it has in None. (3.14 still counts down references from its stack that were
there before, and later up again; it takes all from 2^31 on for immortal.) This is tried on an
object first. Where that does not come out as it should, as before 3.12 or without the interpreter's
lock, references stay counted.
"""

from __future__ import annotations

import ctypes
import gc
import sys

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType
    from typing import Final
else:
    CodeType = type(compile("", "", "exec"))

_Half: Final = ctypes.c_uint32
_LEAST: Final = 1 << 31
"""From this count on an object is immortal, in the versions that know the word."""
_HEADER: Final = 16
"""The bytes of an object without content: its count, then its type."""


def freeze() -> int:
    """Collect garbage, then keep all that is left; return how many objects became immortal.

    Of what was frozen before, nothing is looked at again.
    """
    gc.collect()
    count = _make_immortal(gc.get_objects()) if _can_be_made() else 0
    gc.freeze()
    return count


def _make_immortal(objects: list[object]) -> int:
    """Make these immortal, and all that they lead to."""
    count, value = 0, _value()
    getrefcount, get_referents, at = sys.getrefcount, gc.get_referents, _Half.from_address
    while objects:
        one = objects.pop()
        if getrefcount(one) >= _LEAST:
            continue
        at(id(one)).value = value
        count += 1
        objects.extend(get_referents(one))
        if type(one) is CodeType:  # which the collector knows nothing of
            objects.extend(_parts(one))
    return count


def _parts(code: CodeType) -> Iterable[object]:
    """Return what running a code object refers to."""
    return code.co_consts, code.co_names, code.co_varnames, code.co_qualname, code.co_filename


def _value() -> int:
    return _Half.from_address(id(None)).value


def _can_be_made() -> bool:
    """Try it on an object of no use."""
    if object.__basicsize__ != _HEADER or _value() < _LEAST:
        return False  # free-threaded; before 3.12
    probe = [0]
    count = _Half.from_address(id(probe))
    if not 0 < count.value < _HEADER:  # not the count of an object that is hardly used
        return False
    count.value = _value()
    before = sys.getrefcount(probe)
    others = [probe] * 3
    return before >= _LEAST and sys.getrefcount(probe) == before and len(others) == 3
