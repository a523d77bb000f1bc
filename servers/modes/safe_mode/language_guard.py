"""A guard inside the language: PHP's safe_mode and open_basedir, by audit hooks (PEP 578).

CPython reports what a script is about to do to a hook, which may raise instead of letting it
happen. The rules are PHP's (main/safe_mode.c, main/fopen_wrappers.c):

- path rule (open_basedir): what a path leads to lies inside the site;
- owner rule (safe_mode): it, or the directory that it is in, belongs to the owner of the script;
- process rule (safe_mode_exec_dir without a directory): no programs, no forks, no signals;
- code rule (dl() is off): no machine code of the script's own, nor a way to call some;
- limit rule (set_time_limit() is off): the limits of the process are the server's.

Reading below the import path is free, so that the standard library can be imported.

Strategy: the guard is on while the worker's main thread runs a script, and at any time in any other
thread. Such a thread is a script's, perhaps that of a tenant who was served long ago. As no event
tells whose, all that has a rule is refused there.

The guard lives in the interpreter that it guards, and sees only what CPython reports: it can be
got around. docs/modes.md lists the ways; that they are there is what the mode is to show.
"""

from __future__ import annotations

import errno
import os
import sys
from _thread import get_ident
from collections.abc import Callable
from pathlib import PosixPath
from typing import Any, Final

from servers.sites import Site

Rule = Callable[..., None]

_PROCESSES: Final = (
    "os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os.posix_spawn", "os.spawn",
    "os.system", "pty.spawn", "signal.pthread_kill", "subprocess.Popen",
)  # fmt: skip
_MACHINE_CODE: Final = (
    "cpython.PyInterpreterState_New",  # hooks are an interpreter's own, so it would have none
    "ctypes.PyObj_FromPtr", "ctypes.addressof", "ctypes.call_function", "ctypes.cdata",
    "ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle", "ctypes.string_at", "ctypes.wstring_at",
    "sqlite3.load_extension",
)  # fmt: skip
_LIMITS: Final = ("resource.prlimit", "resource.setrlimit")
# Those of the standard library's extension modules that lead out of the language.
_REFUSED_MODULES: Final = frozenset(
    [
        *("_ctypes", "_ctypes_test", "_testcapi", "_testinternalcapi", "_testlimitedcapi"),
        *("_interpreters", "_xxsubinterpreters"),
    ]
)
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NO_DIRECTORY: Final = -1
_NO_FILES: Final = ("", ":memory:")


class LanguageGuard:
    """Confines the scripts of this process, one at a time, from `enter` to `leave`.

    Made in the main thread of a worker. Cannot be taken away again.
    """

    def __init__(self) -> None:
        self._main = get_ident()
        self._uid = -1
        self._root = ""
        # What imports may read. Taken now, since a script can put its own entries in sys.path.
        self._library = tuple(f"{os.path.abspath(entry)}/" for entry in sys.path)
        self._roots: dict[Site, str] = {}
        self._rules = self._all_rules()
        sys.addaudithook(self._hook())

    def enter(self, site: Site) -> None:
        """Confine what follows to `site`."""
        root = self._roots.get(site)
        if root is None:
            root = self._roots[site] = os.path.realpath(os.fsdecode(site.root))
        self._uid = site.owner.uid
        self._root = root

    def leave(self) -> None:
        """Let the server's own work go on without a guard."""
        self._root = ""

    def _hook(self) -> Callable[[str, tuple[Any, ...]], None]:
        """Return what judges an event: before it happens, in its thread, and must not cause any.

        A function and no method, since the interpreter looks for an attribute of it at each event.
        """
        rules, main = self._rules, self._main

        def judge(event: str, arguments: tuple[Any, ...]) -> None:
            rule = rules.get(event)
            if rule is None:
                return
            if get_ident() != main:
                raise _refusal("thread", "only the script's first thread may do that", event)
            if self._root:
                rule(*arguments)

        return judge

    def _all_rules(self) -> dict[str, Rule]:
        rules: dict[str, Rule] = {
            "open": self._open,
            "import": self._import,
            "os.chdir": self._follow,
            "os.chmod": self._follow_in,
            "os.chown": self._follow_in,
            "os.getxattr": self._follow,
            "os.link": self._link,
            "os.listdir": self._list,
            "os.listxattr": self._follow,
            "os.mkdir": self._name_in,
            "os.remove": self._name_in,
            "os.removexattr": self._follow,
            "os.rename": self._rename,
            "os.rmdir": self._name_in,
            "os.scandir": self._list,
            "os.setxattr": self._follow,
            "os.symlink": self._symlink,
            "os.truncate": self._follow,
            "os.utime": self._follow_in,
            "socket.bind": self._address,
            "socket.connect": self._address,
            "socket.sendmsg": self._address,
            "socket.sendto": self._address,
            "sqlite3.connect": self._database,
            "sqlite3.enable_load_extension": self._enable_load_extension,
        }
        for name, why, events in (
            ("process", "a script may not start programs or signal them", _PROCESSES),
            ("code", "a script may not leave the language", _MACHINE_CODE),
            ("limit", "the process's limits are the server's", _LIMITS),
        ):
            rules.update((event, _refuse(name, why, event)) for event in events)
        return rules

    # Rules, each with the arguments of its events (docs.python.org, "Audit events table").

    def _open(self, path: object, _mode: object, flags: int) -> None:
        if not (flags & _WRITING == 0 and self._is_library(path)):
            self._follow(path)

    def _import(self, module: object, file: object, *_: object) -> None:
        if _text(module) in _REFUSED_MODULES:
            raise _refusal("code", "the module leads out of the language", _text(module))
        if file is not None and not self._is_library(file):
            raise _refusal("code", "extension modules come from the library only", str(file))

    def _list(self, path: object) -> None:
        if path is None:
            path = os.curdir
        if not self._is_library(path):
            self._follow(path)

    def _follow(self, path: object, *_: object) -> None:
        """Judge what `path` leads to. A number is a descriptor, which was judged when opened."""
        if not isinstance(path, int):
            self._judge(os.path.realpath(_text(path)))

    def _follow_in(self, path: object, *rest: object) -> None:
        _without_directory(rest[-1])
        self._follow(path)

    def _name(self, path: object) -> None:
        """Judge a directory's entry by itself, wherever it may lead as a symbolic link."""
        directory, name = os.path.split(_text(path))
        if name in ("", ".", ".."):
            self._follow(path)
        else:
            self._judge(os.path.join(os.path.realpath(directory), name))

    def _name_in(self, path: object, *rest: object) -> None:
        _without_directory(rest[-1])
        self._name(path)

    def _rename(self, old: object, new: object, *directories: object) -> None:
        _without_directory(*directories)
        self._name(old)
        self._name(new)

    def _link(self, old: object, new: object, *directories: object) -> None:
        _without_directory(*directories)
        self._follow(old)
        self._name(new)

    def _symlink(self, target: object, link: object, directory: object) -> None:
        _without_directory(directory)
        self._follow(os.path.join(os.path.dirname(_text(link)), _text(target)))
        self._name(link)

    def _database(self, name: object) -> None:
        text = _text(name)
        if text.startswith("file:"):
            raise _refusal("path", "URIs of databases are not looked into", text)
        if text not in _NO_FILES:
            self._follow(text)

    def _enable_load_extension(self, _connection: object, enabled: object) -> None:
        if enabled:
            raise _refusal("code", "extensions of SQLite are machine code", "SQLite")

    def _address(self, _socket: object, address: object) -> None:
        """Judge a Unix socket's path; networks are open, as PHP's fsockopen is in safe mode."""
        if type(address) is tuple or address is None:
            return
        text = _text(address)
        if text[:1] in ("", "\0"):
            raise _refusal("path", "the socket's name is in no directory", repr(text))
        self._follow(text)

    # Verdicts

    def _is_library(self, path: object) -> bool:
        """Return whether `path` is spelled as one below the import path, which no tenant can write.

        By its spelling alone: an import asks dozens of times.
        """
        if isinstance(path, int):
            return False
        text = _text(path)
        return f"{text}/".startswith(self._library) and "/.." not in text

    def _judge(self, path: str) -> None:
        """Apply path rule and owner rule to a resolved path."""
        if path != self._root and not path.startswith(self._root + "/"):
            raise _refusal("path", "it is outside of the site", path)
        if _owner(path) != self._uid and _owner(os.path.dirname(path)) != self._uid:
            raise _refusal("owner", "it is not the script's owner's", path)


def _text(path: object) -> str:
    """Return a path as a plain string, without calling what a script may have put in a subclass."""
    if isinstance(path, str):
        return str.__str__(path)
    if isinstance(path, bytes | bytearray):
        return os.fsdecode(bytes(memoryview(path)))
    if type(path) is PosixPath:
        return os.fspath(path)
    raise _refusal("path", "it is neither a string nor bytes", type(path).__name__)


def _owner(path: str) -> int | None:
    try:
        return os.lstat(path).st_uid
    except FileNotFoundError:
        return None


def _without_directory(*descriptors: object) -> None:
    """Refuse a path that is relative to an open directory: PHP has none such."""
    if any(descriptor != _NO_DIRECTORY for descriptor in descriptors):
        raise _refusal("path", "it is relative to a descriptor", "dir_fd")


def _refuse(rule: str, why: str, event: str) -> Rule:
    def refuse(*_: object) -> None:
        raise _refusal(rule, why, event)

    return refuse


def _refusal(rule: str, why: str, what: str) -> PermissionError:
    return PermissionError(errno.EACCES, f"safe_mode, {rule} rule: {why}", what)
