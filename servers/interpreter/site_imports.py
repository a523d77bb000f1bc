"""What a script imports from its own site: found like any module, forgotten with the request.

Strategy: the script's directory is the last entry of the import path, while the script runs. An
interpreter that is started for a script has it first; but here modules of the library outlive the
script, and one that had found a tenant's `json.py` in the place of the library's would keep it.

Rule 1: what a script has imported from elsewhere than the library is taken out of `sys.modules` and
emptied before its credentials go, so that its finalisers run with them, and the next script, a
neighbour's perhaps, finds none of it. PHP, too, takes in included files anew with each request.
Rule 2: a name leads to the same module for as long as the process lives: where a change is noticed,
what a script has replaced or removed of the library is put back. So is all else that says what a
name leads to: the import path, the finders and their hooks.
Rule 3: what a script is the first to import of the library stays, unless that may have taken in
something of the script's own under a library's name.

What a script changes inside a module of the library is not looked for, and a module that says of
itself that it is the library's is believed (docs/security.md).

Imports nothing that is not built in, as `context`.
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any, Final

_WITHOUT_A_FILE: Final = ("built-in", "frozen")
_SERVER: Final = __file__.rpartition("/")[0] + "/"
_MAIN: Final = "__main__"
_NOTHING: Final = object()
_Spec: Final = type(sys.__spec__)
_FileFinder: Final = sys.modules["_frozen_importlib_external"].FileFinder
# Of the module itself, whatever its class makes of `__dict__`.
_contents: Final[Callable[[Any], dict[str, Any]]] = vars(ModuleType)["__dict__"].__get__


class _LastingModules:
    """The modules that are there to stay, and which objects they are, in this process.

    A look at each of them after each script would count references to all: with cold caches 8 us,
    and in `groundhog`, which puts back every page that was written to, 90. So a change is noticed
    by the number of modules and the last name, since what is imported is last. All is compared by
    identity: a hostile object is not asked whether it is equal.
    """

    def __init__(self) -> None:
        self._modules: dict[str, Any] = sys.modules
        self._known: dict[str, object] = {}
        self._count = 0
        self._last: str | None = None

    def begin(self, library: Iterable[str]) -> None:
        """Take what is there now for what has to be there after the script."""
        modules = self._modules
        if not self._known:
            self._known.update(modules)
            self._note()
        # A script was interrupted, or left a thread; or the server itself has imported something.
        if not self.seem_unchanged():
            self._put_back(library)

    def end(self, library: Iterable[str]) -> None:
        """Forget what has been imported but the library, and put back what is missing of that."""
        self._count = -1  # the next one begins with this, should it be interrupted
        self._put_back(library)

    def seem_unchanged(self) -> bool:
        """Return whether there is nothing to be done; False before the first script."""
        modules = self._modules
        return (
            sys.modules is modules
            and len(modules) == self._count
            and next(reversed(modules), None) is self._last
        )

    def _note(self) -> None:
        self._count = len(self._modules)
        self._last = next(reversed(self._modules), None)

    def _put_back(self, library: Iterable[str]) -> None:
        sys.modules = self._modules
        self._take_out_what_is_no_name()
        new, strange = self._tell_apart((_SERVER, *(f"{entry}/" for entry in library)))
        missing = self._missing()
        tainted = {}
        if missing or any(name.partition(".")[0] in sys.stdlib_module_names for name in strange):
            tainted, new = new, tainted  # they may have found what is strange by that name
        for name, module in (*strange.items(), *tainted.items()):
            self._forget(name, module)
        self._known.update(new)
        self._modules.update(missing)
        self._modules.setdefault(_MAIN, self._known[_MAIN])
        self._note()
        lasting = set(map(id, (*self._known.values(), *tainted.values())))
        for module in strange.values():
            if _is_module(module) and id(module) not in lasting:
                _contents(module).clear()

    def _take_out_what_is_no_name(self) -> None:
        modules = self._modules
        if any(type(name) is not str for name in list(modules)):
            named = {name: one for name, one in list(modules.items()) if type(name) is str}
            modules.clear()
            modules.update(named)

    def _missing(self) -> dict[str, object]:
        """Return the known modules in whose place there is another, or none."""
        modules = self._modules
        return {
            name: module
            for name, module in self._known.items()
            if name != _MAIN and modules.get(name, _NOTHING) is not module
        }

    def _tell_apart(self, library: tuple[str, ...]) -> tuple[dict[str, object], dict[str, object]]:
        """Return what was not there before: what is new of the library, and all that is strange."""
        new: dict[str, object] = {}
        strange: dict[str, object] = {}
        known = self._known
        for name, module in list(self._modules.items()):
            if known.get(name, _NOTHING) is not module and name != _MAIN:
                is_new = name not in known and _is_librarys(name, module, library)
                (new if is_new else strange)[name] = module
        # What a new module has made itself, such as typing.io and pyexpat.errors; these are there
        # before it, since a module is put behind all others when it has been executed.
        for name in sorted(strange):
            is_part = name not in known and name.rpartition(".")[0] in new
            if is_part and strange[name] is not None:
                new[name] = strange.pop(name)
        return new, strange

    def _forget(self, name: str, module: object) -> None:
        """Take a module out, also where a package has it as its part."""
        self._modules.pop(name, None)
        package, _, part = name.rpartition(".")
        whole = self._modules.get(package)
        if _is_module(whole) and _contents(whole).get(part, _NOTHING) is module:
            del _contents(whole)[part]


def _is_module(module: object) -> bool:
    """Return whether it is one, whatever it says itself; what a script makes may say anything."""
    return issubclass(type(module), ModuleType)


def _is_librarys(name: str, module: object, library: tuple[str, ...]) -> bool:
    """Return whether a module has been found in the library, under this very name."""
    spec = _contents(module).get("__spec__") if _is_module(module) else None
    if type(spec) is not _Spec or type(spec.name) is not str or type(spec.origin) is not str:
        return False
    in_library = spec.origin in _WITHOUT_A_FILE or spec.origin.startswith(library)
    return in_library and spec.name == name


class _LastingFinders:
    """What looks for modules, and what has looked into which directory, in this process.

    Who has looked into a tenant's directory has done so with credentials that others do not have.
    One for a directory of the library stays, so that it is not listed again for each script.
    """

    def __init__(self) -> None:
        self._cache = sys.path_importer_cache
        self._meta_path, self._hooks = sys.meta_path, sys.path_hooks
        self._first: tuple[dict[str, Any], list[Any], list[Any]] | None = None

    def begin(self) -> None:
        """Take what is there before the first script for what has to be there after each."""
        if self._first is None:
            self._first = dict(self._cache), self._meta_path[:], self._hooks[:]

    def seem_unchanged(self) -> bool:
        """Return whether there is nothing to put back: lists compare by identity first."""
        assert self._first is not None
        cache, (first, meta_path, hooks) = self._cache, self._first
        return (
            sys.meta_path is self._meta_path
            and sys.path_hooks is self._hooks
            and sys.path_importer_cache is cache
            and len(cache) == len(first)
            and self._meta_path == meta_path
            and self._hooks == hooks
        )

    def end(self, library: Collection[str]) -> None:
        """Put them back."""
        assert self._first is not None
        first, self._meta_path[:], self._hooks[:] = self._first
        sys.meta_path, sys.path_hooks = self._meta_path, self._hooks
        sys.path_importer_cache = cache = self._cache
        for place, finder in list(cache.items()):
            if type(place) is str and place in library and type(finder) is _FileFinder:
                first.setdefault(place, finder)
        cache.clear()
        cache.update(first)


_modules: Final = _LastingModules()
_finders: Final = _LastingFinders()


class SiteImports:
    """The import path of one script after the other, from `begin` to `end`.

    Few functions, since with cold caches each costs a request about a microsecond.
    """

    def begin(self, directory: str) -> None:
        """Let a script import what is in its directory, and have that compiled as usual there."""
        self._path = path = sys.path
        self._library = path[:]
        self._writes_nothing = sys.dont_write_bytecode
        if not _modules.seem_unchanged():
            _modules.begin(self._library)
            _finders.begin()
        sys.dont_write_bytecode = False
        path.append(directory)

    def forget(self) -> None:
        """Forget what the script has imported but the library. Still with its credentials."""
        if not _modules.seem_unchanged():
            _modules.end(self._library)
        if not _finders.seem_unchanged():
            _finders.end(self._library)

    def end(self) -> None:
        """Put the import path back."""
        self._path[:] = self._library
        sys.path = self._path
        sys.dont_write_bytecode = self._writes_nothing
