"""What there is to measure: the modes that `servers` lists, asked of it as a process.

A target is written as a mode's name, with chosen factors after a colon:
`cgi`, `cgi:spawn=fork`, `suid2:worker_start=exec+other=value`.
"""

from __future__ import annotations

import compileall
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from harness.errors import IsobenchError
from harness.host.surroundings import clean_environment
from harness.results import manifest


@dataclass(frozen=True)
class Target:
    """A mode with its factors chosen; `options` maps the factors that differ from the default.

    `slowdown_us` is the CPU time that each request costs more, where it is a server of `selftest`;
    `stamps` is the file into which it stamps when a request passes what, where it is profiled.
    `recipe` names the bare costs that a mode adds to `dso`, with every factor at its default.
    """

    name: str
    mode: str
    precedent: str
    runs_as: str
    summary: str
    options: Mapping[str, str]
    kind: str = "mode"
    slowdown_us: float | None = None
    stamps: Path | None = None
    recipe: tuple[str, ...] | None = None

    @property
    def by_client(self) -> bool:
        """Whether scripts run as the client, who says in its first packet who it is."""
        return self.runs_as == "client"

    @property
    def record(self) -> manifest.Target:
        """What run.json says of it."""
        return manifest.Target(
            self.name, self.kind, self.precedent, self.runs_as, self.summary, self.recipe
        )


@dataclass(frozen=True)
class Refusal:
    """Why this host cannot run a target, and what would change that."""

    target: Target
    reason: str
    hint: str

    @property
    def record(self) -> manifest.Skipped:
        """What run.json says of it."""
        return manifest.Skipped(self.target.name, self.reason, self.hint)


def python() -> Path:
    """Return the interpreter that servers and scripts run on: that of the environment's base.

    A virtual environment's own link would make each script look for the environment's packages.
    """
    base = getattr(sys, "_base_executable", None) or sys.executable
    return Path(os.path.realpath(base))


def server_command() -> tuple[list[str], dict[str, str]]:
    """Return the command and the whole environment of a server, lean and free of the caller's.

    `-S` leaves out the site module and with it the environment's packages, of which a server needs
    one; what a server has loaded is what each fork copies.
    """
    _compile_servers()
    folders = [str(folder_of("servers")), str(folder_of("httptools"))]
    environment = clean_environment(
        {"PYTHONPATH": os.pathsep.join(dict.fromkeys(folders)), "PYTHONDONTWRITEBYTECODE": "1"}
    )
    return [str(python()), "-S", "-s", "-P", "-m", "servers"], environment


@cache
def _compile_servers() -> None:
    """Let servers find their modules compiled, as an installed package's are, if that can be.

    One that compiles them itself is half as large again, for each of its forks to copy.
    """
    compileall.compile_dir(folder_of("servers") / "servers", quiet=2)


def folder_of(package: str) -> Path:
    """Return the directory that a package is imported from. Raises IsobenchError."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise IsobenchError(
            f"the package {package} cannot be found",
            hint="install isobench with its dependencies: pip install isobench",
        )
    folder = Path(spec.origin).parent.parent
    if os.pathsep in str(folder):
        raise IsobenchError(
            f"{package} is in {folder}, which cannot be in a list of directories",
            hint=f"install isobench below directories whose names have no {os.pathsep!r}",
        )
    return folder


def available() -> list[Target]:
    """Return every mode with its factors at their defaults, in alphabetical order."""
    return [_target(mode, mode["name"], {}) for mode in _modes()]


def choose(names: Sequence[str]) -> list[Target]:
    """Return the targets with these names. Raises IsobenchError for one that does not exist."""
    known = {str(mode["name"]): mode for mode in _modes()}
    return [_parse(name, known) for name in dict.fromkeys(names)]


def _parse(text: str, known: Mapping[str, dict[str, object]]) -> Target:
    name, _, factors = text.partition(":")
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise IsobenchError(
            f"unknown mode {name!r}",
            hint=f"did you mean {near[0]}?" if near else f"known modes: {', '.join(known)}",
        )
    if text.endswith((":", "+")):
        raise IsobenchError(
            f"{text!r} ends where a factor should follow",
            hint=f"write {name}, or a factor and its value, such as cgi:spawn=fork",
        )
    options = {}
    offered = known[name]["options"]
    assert isinstance(offered, dict)
    for factor in filter(None, factors.split("+")):
        option, _, value = factor.partition("=")
        if value not in offered.get(option, ()):
            choices = [f"{name}:{o}={'|'.join(values)}" for o, values in offered.items()]
            raise IsobenchError(
                f"{name} has no factor {factor!r}",
                hint=f"it has {', '.join(choices) or 'none'}",
            )
        options[option] = value
    return _target(known[name], text, options)


def _target(mode: Mapping[str, object], name: object, options: Mapping[str, str]) -> Target:
    recipe = mode["recipe"]
    return Target(
        name=str(name),
        mode=str(mode["name"]),
        precedent=str(mode["precedent"]),
        runs_as=str(mode["runs_as"]),
        summary=str(mode["summary"]),
        options=options,
        # Another factor is another way of doing it, which the recipe may not be true of.
        recipe=tuple(recipe) if isinstance(recipe, list) and not options else None,
    )


@cache  # a process of its own each time
def _modes() -> tuple[dict[str, object], ...]:
    command, environment = server_command()
    result = subprocess.run(
        [*command, "--list"], env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise IsobenchError(
            f"{command[0]} cannot run the servers: {result.stderr.strip().splitlines()[-1]}",
            hint="install isobench with its dependencies for this Python: pip install isobench",
        )
    return tuple(json.loads(result.stdout))
