"""What there is to measure: the modes and peers that `servers` lists, asked of it as a process.

A target is written as a mode's or a peer's name, with chosen factors after a colon:
`cgi`, `cgi:spawn=fork`, `suid2:worker_start=exec+other=value`, `apache-php:opcache=checked`.
"""

from __future__ import annotations

import compileall
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Final

from harness.errors import IsobenchError
from harness.host.surroundings import clean_environment
from harness.results import manifest
from workloads import addresses

MODE: Final = "mode"
"""The kind of targets that isobench brings."""

PEER: Final = "peer"
"""The kind of targets that are real products."""

PEER_PROGRAM: Final = "servers.peer_main"
"""The module that runs one."""

SYSTEM_PYTHON: Final = Path("/usr/bin/python3")
"""What a distribution's own products, such as mod_wsgi and uWSGI, run Python scripts on."""


@dataclass(frozen=True)
class Target:
    """A mode with its factors chosen; `options` maps the factors that differ from the default.

    `slowdown_us` is the CPU time that each request costs more, where it is a server of `selftest`;
    `stamps` is the file into which it stamps when a request passes what, where it is profiled.
    `recipe` names what a mode adds to `dso`, with every factor at its default.
    `mechanism` is what a server does besides, where that is measured (`servers.mechanisms`).
    Of a peer, `beside` is the mode that re-enacts it, `language` that of its scripts, `modules` are
    files that the user has named, `interpreter` names what runs its scripts once the host was
    asked, `in_own_group` says whether a script's gid is among its supplementary groups, too, and
    `wants_own_copies` whether its sites have to belong to tenant:tenant, `caches` whether it has
    the factor of what PHP's cache checks, `forks_only_workers` whether each process that it makes
    while it serves is a worker that a tenant keeps.
    With `own_addresses` each tenant is asked at an address of its own.
    """

    name: str
    mode: str
    precedent: str
    runs_as: str
    summary: str
    options: Mapping[str, str]
    kind: str = MODE
    slowdown_us: float | None = None
    stamps: Path | None = None
    recipe: tuple[str, ...] | None = None
    mechanism: str | None = None
    beside: str | None = None
    language: str = "python"
    in_own_group: bool = False
    wants_own_copies: bool = False
    forks_only_workers: bool = False
    caches: bool = False
    modules: tuple[Path, ...] = ()
    interpreter: str | None = None
    own_addresses: bool = False

    @property
    def is_peer(self) -> bool:
        """Whether it is a real product, which `servers.peer_main` runs."""
        return self.kind == PEER

    @property
    def by_client(self) -> bool:
        """Whether scripts run as the client, who says in its first packet who it is."""
        return self.runs_as == "client"

    def host_of(self, owner: int) -> str | None:
        """Return the address at which a tenant with this uid is asked; None for the server's."""
        return addresses.address_of(owner) if self.own_addresses else None

    @property
    def record(self) -> manifest.Target:
        """What run.json says of it."""
        return manifest.Target(
            *(self.name, self.kind, self.precedent, self.runs_as, self.summary),
            *(self.recipe, self.beside),
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


_instead: list[Path] = []


def run_on(interpreter: Path | None) -> None:
    """Have servers and scripts run on an interpreter from now on; None for the usual one."""
    _instead[:] = [] if interpreter is None else [interpreter]


def shared_python() -> Path | None:
    """Return the system's interpreter, where it can run modes too; None where it cannot.

    It can where it is of the same minor version, for which httptools is compiled.
    """
    program = Path(os.path.realpath(SYSTEM_PYTHON))
    question = "import sys, httptools; print(sys.version_info[:2])"
    environment = clean_environment({"PYTHONPATH": str(folder_of("httptools"))})
    try:
        result = subprocess.run(
            [program, "-S", "-s", "-P", "-c", question],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    same = result.stdout.strip() == str(sys.version_info[:2])
    return program if result.returncode == 0 and same else None


@cache
def version_of(interpreter: Path) -> str:
    """Return the version of a Python, such as 3.11.2."""
    result = subprocess.run(
        [interpreter, "-IS", "-c", "import sys; print(sys.version.split()[0])"],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip() or "unknown"


def python() -> Path:
    """Return the interpreter that servers and scripts run on: that of the environment's base.

    A virtual environment's own link would make each script look for the environment's packages.
    `run_on` names another.
    """
    if _instead:
        return _instead[0]
    base = getattr(sys, "_base_executable", None) or sys.executable
    return Path(os.path.realpath(base))


def server_command(target: Target | None = None) -> tuple[list[str], dict[str, str]]:
    """Return the command and the whole environment of a server, lean and free of the caller's.

    `target` tells whether it is a mode's or a peer's.

    `-S` leaves out the site module and with it the environment's packages, of which a server needs
    one; what a server has loaded is what each fork copies.
    """
    _compile_servers()
    folders = [str(folder_of("servers")), str(folder_of("httptools"))]
    environment = clean_environment(
        {"PYTHONPATH": os.pathsep.join(dict.fromkeys(folders)), "PYTHONDONTWRITEBYTECODE": "1"}
    )
    program = PEER_PROGRAM if target is not None and target.is_peer else "servers"
    return [str(python()), "-S", "-s", "-P", "-m", program], environment


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


def with_factors() -> list[str]:
    """Return the name of every mode with one of its factors chosen, such as cgi:spawn=fork."""
    return [
        f"{mode['name']}:{factor}={value}"
        for mode in _modes()
        for factor, values in _options(mode).items()
        for value in values
    ]


def with_kept_workers() -> list[Target]:
    """Return the targets that modes name for the measurement of their permanent workers."""
    return choose([str(name) for mode in _modes() for name in _names(mode["kept_workers"])])


def _names(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def peers_beside(modes: Iterable[str]) -> list[Target]:
    """Return the peers that stand beside one of these modes, with their factors at defaults."""
    chosen = {name.partition(":")[0] for name in modes}
    return [_target(peer, peer["name"], {}) for peer in _peers() if peer["beside"] in chosen]


def choose(
    names: Sequence[str], *, peers: bool = False, modules: Sequence[Path] = ()
) -> list[Target]:
    """Return the targets with these names; `peers` says whether they may be real products.

    `modules` are files for peers whose module no package has. Raises IsobenchError for a target
    that does not exist.
    """
    known = {str(mode["name"]): mode for mode in _modes()}
    products = {str(peer["name"]): peer for peer in _peers()} if _may_be_peers(names, known) else {}
    if not peers and (named := [name for name in names if name.partition(":")[0] in products]):
        raise IsobenchError(
            f"{named[0]} is a real product, and this command takes modes only",
            hint=f"name modes; isobench run --modes dso,{named[0]} measures it",
        )
    found = [_parse(name, known | products) for name in dict.fromkeys(names)]
    return [replace(one, modules=tuple(modules)) if one.is_peer else one for one in found]


def _may_be_peers(names: Sequence[str], modes: Mapping[str, object]) -> bool:
    return any(name.partition(":")[0] not in modes for name in names)


def _parse(text: str, known: Mapping[str, dict[str, object]]) -> Target:
    name, _, factors = text.partition(":")
    if name not in known:
        near = get_close_matches(name.lower(), known, n=1)
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
    recipe = mode.get("recipe")
    beside = mode.get("beside")
    return Target(
        name=str(name),
        mode=str(mode["name"]),
        precedent=str(mode["precedent"]),
        runs_as=str(mode["runs_as"]),
        summary=str(mode["summary"]),
        options=options,
        # Another factor is another way of doing it, which the recipe may not be true of.
        recipe=tuple(recipe) if isinstance(recipe, list) and not options else None,
        kind="mode" if beside is None else PEER,
        beside=None if beside is None else str(beside),
        language=str(mode.get("language", "python")),
        in_own_group=bool(mode.get("in_own_group", False)),
        caches="opcache" in _options(mode),
        wants_own_copies=bool(mode.get("wants_own_copies", False)),
        forks_only_workers=bool(mode.get("forks_only_workers", False)),
        own_addresses=bool(mode.get("own_addresses", False)),
    )


def _options(mode: Mapping[str, object]) -> Mapping[str, Sequence[str]]:
    offered = mode["options"]
    assert isinstance(offered, dict)
    return offered


@cache  # a process of its own each time
def _modes() -> tuple[dict[str, object], ...]:
    return _listed("servers")


@cache
def _peers() -> tuple[dict[str, object], ...]:
    return _listed(PEER_PROGRAM)


def _listed(program: str) -> tuple[dict[str, object], ...]:
    (*interpreter, _usual), environment = server_command()
    command = [*interpreter, program]
    result = subprocess.run(
        [*command, "--list"], env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    if result.returncode:
        said = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
        raise IsobenchError(
            f"{command[0]} cannot run the servers: {said[-1]}",
            hint="install isobench with its dependencies for this Python: pip install isobench",
        )
    return tuple(json.loads(result.stdout))
