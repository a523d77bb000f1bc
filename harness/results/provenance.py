"""What two runs differ in besides their numbers. Pure: two manifests in, discrepancies out.

A difference between two runs has a cause. If the machine, the libraries and the plan were the
same, the cause is what was changed on purpose. `discrepancies` lists everything else.

Some discrepancies mean two machines: with another processor or another kernel, these are what is
compared. Their numbers are refused (rule 12 of docs/measuring.md) unless the user insists. Other
facts, such as the governor or a library's version, may be just what the user wants to compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.results.manifest import Facts, Manifest

# Of `machine` in run.json: the parts by which two machines are two. Memory is not among them, since
# virtual machines give and take it; nor the distribution, which decides nothing that the kernel and
# the interpreter do not.
DECISIVE = ("cpu", "architecture", "cores", "processors", "kernel", "hypervisor")

# Of `plan`: what differs from one run to the next by design, what the compared rows show, and what
# follows from these or was found by the run itself.
_EXPECTED = ("seed", "targets", "workloads", "loads", "connections", "ceilings", "knees")

UNKNOWN = "not recorded"
NONE = "none"


@dataclass(frozen=True)
class Discrepancy:
    """A fact that differs between two runs; `decisive` if it means two machines."""

    name: str
    base: str
    new: str
    decisive: bool = False


def discrepancies(base: Manifest, new: Manifest) -> tuple[Discrepancy, ...]:
    """Return the facts in which two runs differ, the decisive ones first.

    What only one of the runs recorded is listed and decides nothing: an older isobench knew
    less of its host.
    """
    before, after = (dict(facts(manifest)) for manifest in (base, new))
    found = [
        Discrepancy(name, before.get(name, UNKNOWN), after.get(name, UNKNOWN), _decides(name))
        for name in dict.fromkeys([*before, *after])
        if not _same(before.get(name, UNKNOWN), after.get(name, UNKNOWN))
    ]
    found = [
        Discrepancy(one.name, one.base, one.new) if UNKNOWN in (one.base, one.new) else one
        for one in found
    ]
    return tuple(sorted(found, key=lambda one: not one.decisive))


def _same(one: str, other: str) -> bool:
    # What an older isobench did not know was not asked for either.
    return one == other or {one, other} == {UNKNOWN, NONE}


def _decides(name: str) -> bool:
    section, _, fact = name.partition(".")
    return section == "machine" and fact.partition(".")[0] in DECISIVE


def facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield what decides a run's numbers, flat: names such as machine.kernel, and texts."""
    yield from _flat("machine", manifest.machine)
    yield from _flat("interpreter", manifest.interpreter)
    yield from _flat("versions", manifest.versions)
    yield from _flat("cores", manifest.cores)
    plan = {name: value for name, value in manifest.plan.items() if name not in _EXPECTED}
    yield from _flat("plan", plan)
    yield "isobench", manifest.isobench
    yield "commit", manifest.commit or UNKNOWN
    if manifest.continued_by:
        yield "continued by", ", ".join(str(one["isobench"]) for one in manifest.continued_by)


def tools(isobench: str, commit: str | None, interpreter: Facts, versions: Facts) -> Facts:
    """Return what a run was made with besides the host, as run.json has it in `continued_by`.

    The modes are part of isobench, so another isobench measures other modes.
    """
    return {
        "isobench": isobench,
        "commit": commit,
        "interpreter": dict(interpreter),
        "versions": dict(versions),
    }


def last_tools(manifest: Manifest) -> Facts:
    """Return with what the last of a run was made."""
    if manifest.continued_by:
        return manifest.continued_by[-1]
    return tools(manifest.isobench, manifest.commit, manifest.interpreter, manifest.versions)


def changes(before: Facts, now: Facts) -> list[str]:
    """Return in words what of `tools` is not the same; of the versions, those known at both times.

    What an older isobench did not record cannot have changed as far as one can tell.
    """
    known = _pairs(before)
    return [
        f"{name} {known[name]} to {value}"
        for name, value in _pairs(now).items()
        if known.get(name, value) != value
    ]


def _pairs(of: Facts) -> dict[str, str]:
    texts = {"isobench": str(of["isobench"]), "commit": str(of["commit"] or "none")}
    inner = {f"interpreter's {name}": str(value) for name, value in of["interpreter"].items()}
    return {**texts, **inner, **{name: str(value) for name, value in of["versions"].items()}}


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield nested facts under names such as machine.mitigations.spectre_v2."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif isinstance(value, list | tuple):
        yield name, ", ".join(map(str, value))
    else:
        yield name, NONE if value is None else str(value)
