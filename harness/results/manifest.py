"""run.json: what was run, where, with what, and what weakens the results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.errors import Caution, IsobenchError

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
            schema = content.pop("schema", None)
        except (ValueError, AttributeError, TypeError) as error:
            raise _damaged(source, str(error)) from error
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


MEMBERS: dict[str, tuple[type, ...]] = {
    "run_id": (str,),
    "isobench": (str,),
    "commit": (str, type(None)),
    "started_at": (str,),
    "finished_at": (str, type(None)),
    "argv": (list,),
    "arguments": (dict,),
    "seed": (int,),
    "plan": (dict,),
    "machine": (dict,),
    "versions": (dict,),
    "targets": (list,),
    "skipped": (list,),
    "interpreter": (dict,),
    "warnings": (list,),
    "cores": (dict,),
    "stopped": (dict,),
    "continued_by": (list,),
    "also": (dict,),
}
# Later than schema 1's first folders, which lack them.
_LATER = {"stopped", "also", "continued_by"}
# What is in `also` now had a place of its own in some earlier folders.
_FORMER: dict[str, tuple[type, ...]] = {"attacks": (dict,)}


def _check_members(source: str, content: Mapping[str, object]) -> None:
    optional = (_LATER - content.keys()) | _FORMER.keys()
    if different := sorted((MEMBERS.keys() ^ content.keys()) - optional):
        raise _damaged(source, f"missing or unknown: {', '.join(different)}")
    for name, kinds in (MEMBERS | _FORMER).items():
        if name in content and not isinstance(content[name], kinds):
            raise _damaged(source, f"{name} is {content[name]!r}")


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
