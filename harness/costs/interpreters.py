"""Which interpreters this host has, and how each is told to run a script of one line.

Each script does one thing: it writes the time of its first line, CLOCK_MONOTONIC in nanoseconds,
to its standard output. A language that has no such clock at hand writes one byte instead, and who
reads it looks at the clock; loading a module for it would be part of what is measured.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.costs.build import Programs
from harness.costs.samples import Missing
from harness.target.targets import python

_PATIENCE_S: Final = 10.0
_PYTHON_NAME: Final = re.compile(r"(python|pypy)3(\.\d+)?t?")
_ASK: Final = (
    "import os, platform, sys;"
    "print(platform.python_implementation(), platform.python_version(),"
    " os.path.realpath(sys.executable))"
)

# monotonic_ns() came with Python 3.7.
_PYTHON_FIRST: Final = """\
import time
now = time.monotonic_ns() if hasattr(time, "monotonic_ns") else int(time.monotonic() * 1e9)
print(now)
"""
# What workloads/sites/imports.py imports.
_PYTHON_IMPORTS: Final = f"import datetime, http.client, json, os, sqlite3, sys\n{_PYTHON_FIRST}"


@dataclass(frozen=True)
class Launch:
    """One way to start one interpreter; `command` is the whole of it. `what` may be empty."""

    name: str
    what: str
    version: str
    command: tuple[str, ...]

    @property
    def path(self) -> str:
        """The program that is executed."""
        return self.command[0]


@dataclass(frozen=True)
class Language:
    """A language other than Python: its programs, and a script that tells when it begins.

    `ways` maps what is said of a way to start it to the options; `suffix` is that of its scripts.
    """

    name: str
    commands: tuple[str, ...]
    suffix: str
    script: str
    ways: Mapping[str, tuple[str, ...]]
    version: tuple[str, ...] = ("--version",)


LANGUAGES: Final = (
    Language("sh", ("sh",), ".sh", "echo .\n", {"": ()}, version=()),
    Language(
        "perl", ("perl",), ".pl", 'syswrite(STDOUT, ".");\n', {"": ()}, version=("-e", "print $^V")
    ),
    Language("php", ("php",), ".php", "<?php echo hrtime(true);\n", {"": (), "-n": ("-n",)}),
    Language("php-cgi", ("php-cgi",), ".php", "<?php echo hrtime(true);\n", {"": ("-q",)}),
    Language(
        "ruby",
        ("ruby",),
        ".rb",
        "STDOUT.syswrite(Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond).to_s)\n",
        {"": (), "--disable=gems": ("--disable=gems",)},
    ),
    Language(
        "lua",
        ("lua", "lua5.4", "lua5.3", "luajit"),
        ".lua",
        'io.write(".") io.flush()\n',
        {"": ()},
        version=("-v",),
    ),
    Language(
        "node",
        ("node", "nodejs"),
        ".js",
        'require("fs").writeSync(1, String(process.hrtime.bigint()));\n',
        {"": ()},
    ),
)


def find(
    folder: Path, programs: Programs, byte_code_of_all: bool
) -> tuple[list[Launch], list[Missing]]:
    """Return every launch that this host can make, and the languages that it has not.

    `folder` is where the scripts go; `byte_code_of_all` as in `Effort`.
    """
    launches = list(_c_programs(programs))
    missing = []
    for language in LANGUAGES:
        path = next(filter(None, map(shutil.which, language.commands)), None)
        if path is None:
            missing.append(Missing(language.name, "it is not installed"))
        else:
            launches += _of_language(language, path, folder)
    tenants = str(python())
    for one in find_pythons([Path(tenants), *python_candidates()]):
        launches += one.launches(folder)
        if byte_code_of_all or one.path == tenants:
            launches += one.launches_with_imports(folder)
    return launches, missing


def _c_programs(programs: Programs) -> Iterator[Launch]:
    for name, path in (("static C", programs.static), ("dynamic C", programs.dynamic)):
        if path is not None:
            yield Launch(name, "", "", (str(path), "tell"))


def _of_language(language: Language, path: str, folder: Path) -> Iterator[Launch]:
    script = _write(folder, f"first{language.suffix}", language.script)
    version = _first_line([path, *language.version]) if language.version else ""
    number = re.search(r"\d+\.\d+(\.\d+)?", version)
    for what, options in language.ways.items():
        # Resolved, since the link that Debian's alternatives are would be followed each time.
        command = (os.path.realpath(path), *options, str(script))
        yield Launch(language.name, what, number[0] if number else "", command)


@dataclass(frozen=True)
class Python:
    """A Python 3: `implementation` and `version` as it says itself, `path` without links."""

    implementation: str
    version: str
    path: str
    name: str

    def launches(self, folder: Path) -> Iterator[Launch]:
        """Yield it bare, without the user's packages, and as it comes."""
        first = str(_write(folder, "first.py", _PYTHON_FIRST))
        for options in (("-I", "-S"), ("-I",), ()):
            what = " ".join(options) or "no options"
            yield Launch(self.name, what, self.version, (self.path, *options, first))

    def launches_with_imports(self, folder: Path) -> Iterator[Launch]:
        """Yield it bare with imports, once with their byte code at hand and once without."""
        # -X pycache_prefix came with CPython 3.8.
        if self.implementation != "CPython" or _key(self.version) < (3, 8):
            return
        script = str(_write(folder, "imports.py", _PYTHON_IMPORTS))
        caches = {"warm": folder / f"byte-code-{self.name}", "cold": folder / "no-byte-code"}
        for state, cache in caches.items():
            # Cold: nothing is there, and -B keeps it so. Warm: the first launch of all fills it.
            options = ("-I", "-S", *(("-B",) if state == "cold" else ()))
            command = (self.path, *options, "-X", f"pycache_prefix={cache}", script)
            yield Launch(self.name, f"-I -S, imports, {state} byte code", self.version, command)


def python_candidates() -> Iterator[Path]:
    """Yield every file that may be a Python 3: on the PATH and where version managers put them."""
    home = Path.home()
    folders = [Path(part) for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part]
    folders += [Path("/usr/bin"), Path("/usr/local/bin")]
    for root, pattern in (
        (Path(os.environ.get("PYENV_ROOT", home / ".pyenv")), "versions/*/bin"),
        (home / ".local/share/uv/python", "*/bin"),
        (Path("/opt"), "*/bin"),
    ):
        folders += sorted(root.glob(pattern))
    for folder in dict.fromkeys(folders):
        try:
            yield from sorted(
                path for path in folder.iterdir() if _PYTHON_NAME.fullmatch(path.name)
            )
        except OSError:
            continue  # a PATH may name what is not there


def find_pythons(candidates: Iterable[Path]) -> list[Python]:
    """Ask each candidate who it is; return those that are different programs, oldest first."""
    found: dict[str, tuple[str, str]] = {}
    for path in dict.fromkeys(Path(os.path.realpath(path)) for path in candidates):
        if not _is_script(path):  # pyenv's shims are; the version itself is found besides
            words = _first_line([str(path), "-I", "-S", "-c", _ASK]).split(" ", 2)
            if len(words) == 3:
                found.setdefault(words[2], (words[0], words[1]))
    told = list(found.values())
    pythons = [
        Python(*one, path, " ".join(one) + (f" ({path})" if told.count(one) > 1 else ""))
        for path, one in found.items()
    ]
    return sorted(pythons, key=lambda one: (one.implementation, *_key(one.version), one.path))


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _is_script(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return True


def _first_line(command: list[str]) -> str:
    """Return the first line that a command prints, nothing where it fails or does not end."""
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PATIENCE_S,
            check=True,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return next(iter(result.stdout.splitlines()), "")


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    if not path.exists():
        path.write_text(text)
    return path
