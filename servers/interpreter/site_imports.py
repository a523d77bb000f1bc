"""What a script imports from its own site: found like any module, forgotten with the request.

Strategy: the script's directory is the last entry of the import path, while the script runs. An
interpreter that is started for a script has it first; but here modules of the library outlive the
script, and one that had found a tenant's `json.py` in the place of the library's would keep it.

Rule: what a script has imported from elsewhere than the library is taken out of `sys.modules` and
emptied before its credentials go, so that its finalisers run with them, and the next script, a
neighbour's perhaps, finds none of it. PHP, too, takes in included files anew with each request.
A module of the library stays, unless one of the script's own has taken a library's name meanwhile.

What a script changes by other ways in the interpreter is not looked for (docs/security.md).

Imports nothing, as `context`.
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

_WITHOUT_A_FILE: Final = ("built-in", "frozen")
_SERVER: Final = __file__.rpartition("/")[0] + "/"

# The modules that are there to stay, and which objects they are. Of this process and its children.
_known: Final[dict[str, object]] = {}


class SiteImports:
    """The import path of one script after the other, from `begin` to `end`."""

    def begin(self, directory: str) -> None:
        """Let a script import what is in its directory, and have that compiled as usual there."""
        if not _known:
            _known.update(sys.modules)
        self._path = path = sys.path
        self._library = path[:]
        self._writes_nothing = sys.dont_write_bytecode
        if next(reversed(sys.modules)) not in _known:  # a script was interrupted, or left a thread
            self._forget_modules()
        self._seen = len(sys.modules), next(reversed(sys.modules))
        self._finders = len(sys.path_importer_cache)
        sys.dont_write_bytecode = False
        path.append(directory)

    def forget(self) -> None:
        """Forget what the script has imported but the library. Still with its credentials."""
        # What is imported is last. So two looks show that most scripts imported nothing.
        if self._seen != (len(sys.modules), next(reversed(sys.modules))):
            self._forget_modules()
        if self._finders != len(sys.path_importer_cache):
            self._forget_finders()

    def end(self) -> None:
        """Put the import path back."""
        self._path[:] = self._library
        sys.path = self._path
        sys.dont_write_bytecode = self._writes_nothing

    def _forget_modules(self) -> None:
        _forget_modules((_SERVER, *(f"{entry}/" for entry in self._library)))

    def _forget_finders(self) -> None:
        """Forget who has looked into which directory: with other credentials, there is another."""
        roots = tuple(self._library)
        for place in list(sys.path_importer_cache):
            if not place.startswith(roots):
                sys.path_importer_cache.pop(place, None)


def _forget_modules(library: tuple[str, ...]) -> None:
    new = [
        (name, module)
        for name, module in list(sys.modules.items())
        if _known.get(name) is not module and name != "__main__"
    ]
    foreign = []
    for name, module in new:
        if _is_library(name, module, library):
            _known[name] = module
        else:
            foreign.append((name, module))
    if any(name.partition(".")[0] in sys.stdlib_module_names for name, _ in foreign):
        for name, _ in new:  # the library's may have found the foreign ones by that name
            _known.pop(name, None)
            sys.modules.pop(name, None)
    for name, module in foreign:
        sys.modules.pop(name, None)
        if isinstance(module, ModuleType):
            module.__dict__.clear()


def _is_library(name: str, module: object, library: tuple[str, ...]) -> bool:
    """Return whether a module that was imported since is the library's, or a part of one."""
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    if origin is None:  # such as pyexpat.errors, which pyexpat itself has made
        parent = name.rpartition(".")[0]
        return parent in _known and sys.modules.get(parent) is _known[parent]
    return type(origin) is str and (origin in _WITHOUT_A_FILE or origin.startswith(library))
