"""run.json: what was run, where, with what, and what weakens the results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.errors import Caution, IsobenchError
from harness.results.shapes import NONE, NUMBER, OBJECT, TEXTS, Needed, misfits

SCHEMA = 1

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """A target of the run. `kind`: mode or peer; `runs_as`: server, owner or client.

    `recipe`: the names of what it adds to `dso`, None if unknown. `beside`: the mode that
    re-enacts a peer.
    """

    name: str
    kind: str
    precedent: str
    runs_as: str
    summary: str
    recipe: tuple[str, ...] | None = None
    beside: str | None = None

    @classmethod
    def from_json(cls, row: Facts) -> Target:
        """Read an entry of run.json, where earlier versions wrote less. Raises TypeError."""
        given = {"recipe": None, **row}
        recipe = given["recipe"]
        return cls(**{**given, "recipe": None if recipe is None else tuple(recipe)})


@dataclass(frozen=True)
class Skipped:
    """A target that this host could not run, and what would make it available."""

    target: str
    reason: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of run.json; docs/results.md describes each member.

    Times are ISO 8601 in UTC. `finished_at` is None until the run has finished.
    """

    run_id: str
    isobench: str
    commit: str | None
    started_at: str
    finished_at: str | None = None
    argv: tuple[str, ...]
    arguments: Facts
    seed: int
    plan: Facts
    machine: Facts
    versions: Facts
    targets: tuple[Target, ...]
    skipped: tuple[Skipped, ...] = ()
    interpreter: Facts
    warnings: tuple[Caution, ...] = ()
    cores: Facts
    stopped: Facts = field(default_factory=dict)
    continued_by: tuple[Facts, ...] = ()
    also: Facts = field(default_factory=dict)

    def server_cores(self) -> int:
        """Return how many processors the servers had to themselves; 0 where that is not known."""
        server, generator = (_whole(self.cores.get(name)) for name in ("server", "generator"))
        return len(server) if generator and not server & generator else 0

    def to_json(self) -> str:
        """Return the text of run.json. Raises ValueError for NaN, which JSON does not have."""
        content = {"schema": SCHEMA, **asdict(self)}
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_bytes(self) -> bytes:
        """Return the content of run.json. What is no text, as some file names are, is escaped."""
        return self.to_json().encode("utf-8", "backslashreplace")

    @classmethod
    def from_json(cls, text: str, source: str = "run.json") -> Manifest:
        """Read run.json; `source` names it in errors.

        Raises IsobenchError where the text is damaged or of a newer schema.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _damaged(source, str(error)) from error
        if not isinstance(content, dict) or "schema" not in content:
            raise IsobenchError(
                f"{source} was not written by isobench: it has no schema",
                hint="name the folder that a run wrote, such as results/<run-id>",
            )
        schema = content.pop("schema")
        if not isinstance(schema, int) or isinstance(schema, bool):
            raise _damaged(source, f"schema is {schema!r}")
        if schema > SCHEMA:
            raise IsobenchError(
                f"{source} has schema {schema}; this isobench reads up to {SCHEMA}",
                hint="update isobench to the version that wrote it or a later one",
            )
        _check_members(source, content)
        if attack := content.pop("attacks", {}):
            content["also"] = {**content.get("also", {}), "attack": attack}
        try:
            return cls(**(content | _records(content)))
        except TypeError as error:
            raise _damaged(source, str(error)) from error


def _whole(numbers: object) -> frozenset[int]:
    """Return the whole numbers of a list; none where run.json has something else."""
    listed = numbers if isinstance(numbers, list | tuple) else ()
    return frozenset(one for one in listed if isinstance(one, int))


_TARGET = Needed(name=str, kind=str, precedent=str, runs_as=str, summary=str)
_TOOLS = Needed(isobench=str, commit=(str, NONE), interpreter=OBJECT, versions=OBJECT)
_PLAN: Mapping[str, Any] = {
    **dict.fromkeys(("targets", "workloads", "loads", "connections"), TEXTS),
    **dict.fromkeys(("ceilings", "mechanisms"), TEXTS),
    **dict.fromkeys(("blocks", "tenants", "workers", "seed"), int),
    **dict.fromkeys(("seconds", "warmup_s", "smallest_effect"), NUMBER),
    **dict.fromkeys(("precision", "budget_s", "slice_s"), (*NUMBER, NONE)),
    **dict.fromkeys(("outstanding", "page_pace"), (int, NONE)),
    **dict.fromkeys(("cross_check", "page"), (str, NONE)),
    **dict.fromkeys(("popularity", "client"), str),
    "code_cache": bool,
    "knees": [
        Needed(target=str, workload=str, connection=str, users=int, rate=NUMBER, curve=[[NUMBER]])
    ],
    "replay": Needed(rate=NUMBER, speed=NUMBER, period_s=NUMBER, trace=str, log=OBJECT),
}
_WANTING = Needed(target=str, condition=str, within=(*NUMBER, NONE), more_blocks=(*NUMBER, NONE))
_STOPPED = Needed(
    by=str,
    blocks=int,
    spent_s=NUMBER,
    block_s=NUMBER,
    precision=(*NUMBER, NONE),
    wanting=[_WANTING],
)
# What other commands have added: each with the command that repeats it.
_ADDED: Mapping[str, Any] = {
    **dict.fromkeys(("targets", "attacks", "modules", "generators"), TEXTS),
    **dict.fromkeys(("effort", "procedure", "master"), OBJECT),
    "finished_at": (str, NONE),
    "missing": [Needed(name=str, reason=str)],
}

SHAPES: dict[str, Any] = {
    "run_id": str,
    "isobench": str,
    "commit": (str, NONE),
    "started_at": str,
    "finished_at": (str, NONE),
    "argv": TEXTS,
    "arguments": {"module": (TEXTS, NONE)},
    "seed": int,
    "plan": _PLAN,
    "machine": OBJECT,
    "versions": OBJECT,
    "targets": [_TARGET],
    "skipped": [Needed(target=str, reason=str, hint=str)],
    "interpreter": OBJECT,
    "warnings": [Needed(about=str, advice=str)],
    "cores": OBJECT,
    "stopped": {"aim": (*NUMBER, NONE)},
    "continued_by": [_TOOLS],
    "also": OBJECT,
}
# Later than schema 1's first folders, which lack them.
_LATER = {"stopped", "also", "continued_by"}
# What is in `also` now had a place of its own in some earlier folders.
_FORMER: dict[str, Any] = {"attacks": OBJECT}


def _check_members(source: str, content: Mapping[str, Any]) -> None:
    optional = (_LATER - content.keys()) | _FORMER.keys()
    if different := sorted((SHAPES.keys() ^ content.keys()) - optional):
        raise _damaged(source, f"missing or unknown: {', '.join(different)}")
    for name, shape in (SHAPES | _FORMER).items():
        if name in content:
            _check(source, content[name], shape, name)
    if content.get("stopped"):
        _check(source, content["stopped"], _STOPPED, "stopped")
    former = {"attack": content["attacks"]} if content.get("attacks") else {}
    for name, added in {**content.get("also", {}), **former}.items():
        _check(source, added, Needed(argv=TEXTS, seed=int), f"also.{name}")
        _check(source, added, _ADDED, f"also.{name}")


def _check(source: str, value: object, shape: Any, name: str) -> None:
    if wrong := next(misfits(value, shape, name), None):
        raise _damaged(source, wrong)


def _records(content: Facts) -> dict[str, object]:
    return {
        "argv": tuple(content["argv"]),
        "targets": tuple(map(Target.from_json, content["targets"])),
        "skipped": tuple(Skipped(**row) for row in content["skipped"]),
        "warnings": tuple(Caution(**row) for row in content["warnings"]),
        "continued_by": tuple(content.get("continued_by", ())),
    }


def _damaged(source: str, detail: str) -> IsobenchError:
    return IsobenchError(
        f"{source} is damaged: {detail}",
        hint="restore it from a copy, or measure again with another --out",
    )
