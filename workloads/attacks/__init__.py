"""Hostile tenant scripts: one file an attack, one folder a family. The folders are the registry.

An attack is a module of two halves that run in different places:

`attack(given)`
    runs as the attacker's script, in whatever process and with whatever identity the target gives
    to scripts. It tries one forbidden thing, and returns what it got; an exception says what
    refused it, `given.nothing(reason)` that there is nothing to attack.
`proof(scene)`
    runs in the harness afterwards, and looks from outside whether it worked: at secrets that came
    back, at files, owners, processes, at what the next tenant is served. It returns the evidence,
    or None. It never goes by what the script says of itself.

Beside NAME.py, NAME.php and NAME.pl may hold the first half for products that run PHP or Perl; the
proof is the same.

The first line of a module's docstring is the title of the attack. docs/adding-an-attack.md tells
the rest.

=========  =======================================================================================
attacker   the tenant whose script is the attack
neighbour  the other tenant, innocent
secret     what is planted for an attack to bring back; random, so that it cannot be guessed
scene      one server with both tenants and all that was planted
=========  =======================================================================================
"""

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from workloads.attacks.scene import Scene
from workloads.catalog import SUFFIXES
from workloads.errors import WorkloadError

__all__ = ["FAMILIES", "LANGUAGES", "Attack", "every", "family_title", "load", "query"]

FOLDER = Path(__file__).parent
FAMILIES = (
    "reading",
    "writing",
    "identity",
    "process",
    "serving",
    "persistence",
    "next_request",
    "traffic",
    "sharing",
    "guard",
    "wrapper",
)
"""In the order in which reports show them."""

PROGRAM = FOLDER / "program.py"
"""What is put behind an attack's module to make a CGI program of both; program.php in PHP, and
program.pl in Perl."""

LANGUAGES = ("python", "php", "perl")
"""The languages that attacks are written in: a product with another cannot be attacked."""

PHP_TAG = "<?php\n"

PERL_CONTROL = "careless_perl"
"""The double on which each attack in Perl must succeed."""

WITNESS, LINGER = FOLDER / "witness.py", FOLDER / "linger.py"
"""The neighbour's scripts: what it serves to others, and what it has running meanwhile."""


@dataclass(frozen=True)
class Attack:
    """An attack, as its module says.

    `workers` is the size of the pool; `hands` is how many requests it is made of, all at once;
    with `neighbour_at_work` the neighbour's script runs meanwhile, in another worker. With `shared`
    it leaves nothing that could change what another such attack finds, so that one server does for
    all of them. With `may_be_ended`, that its script ends without telling how it went is no fault
    of it: it answers by itself, or is stopped by being ended. With `timed` it goes on for longer
    than a script may, which is then not long. With `one_step` nothing is left of it where it was
    refused, so that the same server does for the next attack. With `profiled` the server stamps,
    which takes a server of its own with one worker. `of_ours` says that its Python looks for
    objects of isobench's own servers, which no product has. `control` is the double on which it
    must succeed, `php_control` the one for its version in PHP; that for Perl is `PERL_CONTROL`.
    `precedent` is the CVE, the weakness or the documented hole that it re-enacts, "" for none. The
    functions are those of the module; docs/adding-an-attack.md explains each.
    """

    name: str
    family: str
    title: str
    workers: int
    hands: int
    neighbour_at_work: bool
    shared: bool
    may_be_ended: bool
    timed: bool
    one_step: bool
    profiled: bool
    of_ours: bool
    control: str
    php_control: str
    proof: Callable[[Scene], str | None]
    meanwhile: Callable[[Scene], str | None] | None
    missing: Callable[[Scene], str | None] | None
    before: Callable[[Scene], None] | None
    instead: Callable[[Scene], str] | None
    source: Path
    in_python: bool = True
    precedent: str = ""

    def program(self, interpreter: str) -> str:
        """Return the text of the attacker's script; `interpreter` is what follows `#!`."""
        return f"#!{interpreter}\n{self.source.read_text()}\n{PROGRAM.read_text()}"

    def source_in(self, language: str) -> Path | None:
        """Return the file with its first half in a language; None where it has none."""
        if language == "python":
            return self.source if self.in_python else None
        path = self.source.with_suffix(SUFFIXES[language])
        return path if path.exists() else None

    def script_in(self, language: str) -> str:
        """Return its name, with that of the language where it is another than Python."""
        return self.name if language == "python" else f"{self.name}{SUFFIXES[language]}"

    def text_in(self, language: str) -> str:
        """Return the text of the attacker's script in a language, without a `#!` line."""
        source = self.source_in(language)
        assert source is not None
        second = PROGRAM.with_suffix(SUFFIXES[language]).read_text()
        return f"{source.read_text()}\n{second.removeprefix(PHP_TAG)}"

    def companion(self, name: str, language: str) -> str:
        """Return an innocent script that its proof asks for, in another language than Python.

        Such a script is in a file beside the attack's: NAME of the attack, then its own.
        """
        return self.source.with_name(f"{self.source.stem}.{name}{SUFFIXES[language]}").read_text()

    def control_in(self, language: str) -> str:
        """Return where its version in a language must succeed."""
        return {"python": self.control, "php": self.php_control, "perl": PERL_CONTROL}[language]


@cache
def every() -> tuple[Attack, ...]:
    """Return all attacks, family by family, each in alphabetical order.

    Raises WorkloadError for a file that makes none.
    """
    files = {
        file: family
        for family in FAMILIES
        for file in sorted((FOLDER / family).glob("*.py"))
        if file.stem != "__init__"
    }
    first: dict[str, Path] = {}
    for file in files:
        if first.setdefault(file.stem, file) != file:
            raise _faulty(file, f"{first[file.stem]} has the same name")
    return tuple(_attack(family, file) for file, family in files.items())


def load(name: str) -> Attack:
    """Return the attack `name`. Raises KeyError for a name that no file has."""
    return {attack.name: attack for attack in every()}[name]


def query(facts: Mapping[str, str | int], language: str) -> str:
    """Return the query by which a script in a language is told facts, as its second half reads it.

    For Python in lines: a module that reads JSON is the most that a script would load.
    """
    text = json.dumps(facts)
    if language == "python":
        text = "\n".join(f"{type(fact).__name__} {name} {fact}" for name, fact in facts.items())
    return text.encode().hex()


@cache
def family_title(family: str) -> str:
    """Return in a few words what the attacks of a family have in common."""
    return _first_line(importlib.import_module(f"{__name__}.{family}"))


def _attack(family: str, file: Path) -> Attack:
    try:
        module = importlib.import_module(f"{__name__}.{family}.{file.stem}")
    except Exception as error:
        raise _faulty(file, f"{type(error).__name__}: {error}") from error
    _check(module, file)
    hands: int = getattr(module, "HANDS", 1)
    at_work: bool = getattr(module, "NEIGHBOUR_AT_WORK", False)
    return Attack(
        name=file.stem,
        family=family,
        title=_first_line(module),
        workers=hands + at_work,
        hands=hands,
        neighbour_at_work=at_work,
        shared=getattr(module, "SHARED", False),
        may_be_ended=getattr(module, "MAY_BE_ENDED", False),
        timed=getattr(module, "TIMED", False),
        one_step=getattr(module, "ONE_STEP", False),
        profiled=getattr(module, "PROFILED", False),
        of_ours=getattr(module, "OF_OURS", False),
        control=getattr(module, "CONTROL", "careless"),
        php_control=getattr(module, "PHP_CONTROL", "careless_php"),
        proof=module.proof,
        meanwhile=getattr(module, "meanwhile", None),
        missing=getattr(module, "missing", None),
        before=getattr(module, "before", None),
        instead=getattr(module, "instead", None),
        source=file,
        precedent=getattr(module, "PRECEDENT", ""),
        in_python=any(callable(getattr(module, name, None)) for name in ("attack", "instead")),
    )


def _check(module: ModuleType, file: Path) -> None:
    """Raise WorkloadError for a module that lacks what an attack is made of."""
    if not callable(getattr(module, "proof", None)):
        raise _faulty(file, "it has no function proof(scene)")
    acts = any(callable(getattr(module, name, None)) for name in ("attack", "instead"))
    if not acts and not file.with_suffix(".php").exists():
        raise _faulty(file, "it has no function attack(given)")
    hands = getattr(module, "HANDS", 1)
    if type(hands) is not int or hands < 1:
        raise _faulty(file, f"HANDS is {hands!r}, and must be a number of requests")


def _faulty(file: Path, reason: str) -> WorkloadError:
    return WorkloadError(
        f"{file} is not an attack: {reason}", hint="fix or remove it: docs/adding-an-attack.md"
    )


def _first_line(module: ModuleType) -> str:
    return (inspect.getdoc(module) or "").partition("\n")[0].rstrip(".")
