"""What the command `confirm` does: measure again what failed, before it fails a build."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

import reports
from harness.commands.output import deliver
from harness.commands.reading import step_summary, versions
from harness.commands.reading.versions import Version
from harness.errors import IsobenchError
from harness.host import fingerprint, speed
from harness.host.cores import own_cores
from harness.plan.plan import Plan
from harness.results.atomic_file import make_directory, replace_file
from harness.results.blocks import block_values
from harness.results.comparison import false_alarms, thresholds
from harness.results.comparison.compare import (
    COMPARABLE,
    METRICS,
    Comparison,
    Measured,
    compare,
)
from harness.results.comparison.confirm import (
    FEWEST_ROUNDS,
    FILE,
    Confirmation,
    Failed,
    Outcome,
    Probe,
    judge,
    paired,
    sign_of_itself,
    signs_of_host,
)
from harness.results.comparison.false_alarms import FalseAlarms
from harness.results.conditions import BASELINE, Condition, Key
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest
from harness.results.provenance import DECISIVE
from harness.stats.intervals import LogRatio, geometric_interval, unpaired_ratio
from harness.terminal import Terminal, tell

FORMATS: Final = ("text", "markdown", "github")
BLOCKS: Final = 2
"""In each run: the replicates are the rounds, and a run costs seconds besides its blocks."""
_WATCH_S: Final = 0.5


@dataclass(frozen=True)
class Wanted:
    """How to measure again. `base` None: only NEW can be run, and is repeated."""

    base: Version | None
    new: Version
    rounds: int
    runs: Path | None
    force: bool = False


@dataclass
class Fresh:
    """What the runs that were made gave: each version's values, a mapping a round."""

    values: dict[str, list[Mapping[Key, Mapping[str, tuple[float, ...]]]]] = field(
        default_factory=lambda: {"base": [], "new": []}
    )
    probes: list[Probe] = field(default_factory=list)
    makers: dict[str, str] = field(default_factory=dict)
    trials: int = 0
    disturbed: int = 0

    def of(self, side: str, key: Key, metric: str) -> list[tuple[float, ...]]:
        """Return the blocks' values of a version, round by round."""
        return [values.get(key, {}).get(metric, ()) for values in self.values[side]]


def start(
    base: Path,
    new: Path,
    fail_if: Sequence[str],
    smallest_effect: str,
    wanted: Wanted,
    selftest: Path | None,
    form: str,
    out: Path | None,
) -> None:
    """Compare two results folders, and measure again what fails a bound. Raises IsobenchError.

    Its exit code is that of `Outcome`: 1 where a failure is confirmed, 3 where the host is erratic.
    """
    if form not in FORMATS:
        raise IsobenchError(f"unknown format {form!r}", hint=f"choose one of {', '.join(FORMATS)}")
    if not fail_if:
        raise IsobenchError(
            "there is no bound to confirm", hint="add --fail-if 'requests_per_second < -5%'"
        )
    if wanted.rounds < FEWEST_ROUNDS:
        raise IsobenchError(
            f"--rounds {wanted.rounds} is too few", hint=f"choose {FEWEST_ROUNDS} or more"
        )
    bounds = [thresholds.parse_bound(text, COMPARABLE) for text in fail_if]
    effect = thresholds.parse_share(smallest_effect, "--smallest-effect")
    columns = tuple(dict.fromkeys([*METRICS, *(bound.metric for bound in bounds)]))
    folder = ResultsFolder.open(new)
    before, after = (ResultsFolder.open(path).measured(columns) for path in (base, new))
    found = compare(
        before, after, metrics=columns, bounds=bounds, smallest_effect=effect, force=wanted.force
    )
    alarms = _false_alarms(selftest, new, folder)
    failed = failures(found)
    confirmation = _confirm(failed, before, after, folder, wanted) if failed else None
    _show(found, confirmation, alarms, form, out)
    _refuse(confirmation)


def failures(found: Comparison) -> list[Failed]:
    """Return the bounds that are broken, and where."""
    rows = [(one, found.rows[one.place]) for one in found.broken()]
    return [Failed(one.bound, row.target, row.condition, row.ratio) for one, row in rows]


def _false_alarms(selftest: Path | None, new: Path, folder: ResultsFolder) -> FalseAlarms | None:
    if selftest is not None:
        return false_alarms.read(selftest, folder.manifest)
    return false_alarms.latest(new, folder.manifest)


def _confirm(
    failed: Sequence[Failed],
    before: Measured,
    after: Measured,
    folder: ResultsFolder,
    wanted: Wanted,
) -> Confirmation:
    """Measure again what failed, and judge it."""
    _must_be_here(folder, force=wanted.force)
    plan = Plan.from_json(folder.manifest.plan)
    modules = [str(one) for one in folder.manifest.arguments.get("module") or ()]
    runs = wanted.runs or folder.path.with_name(f"{folder.path.name}-again-{secrets.token_hex(2)}")
    fresh = _measure(_by_condition(failed), plan, modules, wanted, runs)
    signs = list(signs_of_host(fresh.probes, fresh.disturbed, fresh.trials))
    if wanted.base is None:
        signs += _signs_of_new(failed, fresh, after)
    ratios = [_ratio(one, fresh, before, interleaved=wanted.base is not None) for one in failed]
    found = Confirmation(
        wanted.base is not None,
        wanted.rounds,
        judge(failed, ratios),
        tuple(dict.fromkeys(signs)),
        tuple(_others(fresh, {"base": before.manifest, "new": after.manifest})),
    )
    replace_file(runs / FILE, json.dumps(asdict(found), indent=2).encode() + b"\n")
    return found


def _must_be_here(folder: ResultsFolder, *, force: bool) -> None:
    """Refuse to repeat what was made elsewhere, or is no run that can be repeated."""
    manifest = folder.manifest
    if not manifest.plan or manifest.also.get("hosts"):
        raise IsobenchError(
            f"{folder.path} is not a run that one host can repeat",
            hint="measure both versions again, and compare them",
        )
    here = fingerprint.fingerprint()
    other = [
        name for name in DECISIVE if str(manifest.machine.get(name, here[name])) != str(here[name])
    ]
    if other and not force:
        raise IsobenchError(
            f"NEW was measured on another machine: {', '.join(other)}",
            hint="confirm on the machine that measured; to repeat it here anyway, add --force",
        )


def _by_condition(failed: Sequence[Failed]) -> dict[Condition, list[str]]:
    """Return what to measure: by condition, the baseline and the targets that failed."""
    targets: dict[Condition, list[str]] = {}
    for one in failed:
        targets.setdefault(one.condition, [BASELINE])
        if one.target not in targets[one.condition]:
            targets[one.condition].append(one.target)
    return targets


def _measure(
    targets: Mapping[Condition, Sequence[str]],
    plan: Plan,
    modules: Sequence[str],
    wanted: Wanted,
    runs: Path,
) -> Fresh:
    """Make all runs, round by round."""
    ResultsFolder.must_be_free(runs)
    make_directory(runs)
    replace_file(runs / FILE, b"{}\n")
    fresh = Fresh()
    cpus = own_cores().server
    for number in range(1, wanted.rounds + 1):
        for side, version in _order(wanted, number):
            values: dict[Key, Mapping[str, tuple[float, ...]]] = {}
            for place, (condition, names) in enumerate(targets.items(), 1):
                out = runs / f"{number}-{side}-{place}"
                tell(f"round {number} of {wanted.rounds}: {side.upper()}, {out}")
                fresh.probes.append(_probe(cpus))
                seed = plan.seed + 1000 * number + place
                given = versions.arguments(plan, condition, names, modules, BLOCKS, seed, out)
                versions.run(version, given, out.with_suffix(".log"))
                values |= _read(out, side, fresh)
            fresh.values[side].append(values)
    return fresh


def _order(wanted: Wanted, number: int) -> Iterator[tuple[str, Version]]:
    """Yield the versions of a round in their order: each goes first in every other round."""
    sides = [("new", wanted.new)]
    if wanted.base is not None:
        sides.insert(number % 2, ("base", wanted.base))
    yield from sides


def _probe(cpus: Sequence[int]) -> Probe:
    samples = speed.watch(cpus, _WATCH_S)
    return Probe(float(np.median(samples.took_s)), samples.away)


def _read(out: Path, side: str, fresh: Fresh) -> Mapping[Key, Mapping[str, tuple[float, ...]]]:
    folder = ResultsFolder.open(out)
    trials = folder.trials()
    fresh.makers[side] = _maker(folder.manifest)
    fresh.trials += len(trials)
    fresh.disturbed += int((trials["disturbed"].fillna("") != "").sum())
    return block_values(trials, COMPARABLE)


def _maker(manifest: Manifest) -> str:
    return f"{manifest.isobench}, commit {manifest.commit or 'unknown'}"


def _others(fresh: Fresh, first: Mapping[str, Manifest]) -> Iterator[str]:
    """Yield which version is not the one that measured at first, as far as that is recorded."""
    for side, maker in fresh.makers.items():
        if (before := _maker(first[side])) != maker:
            yield f"{side.upper()} was measured by isobench {before}, and again by {maker}"


def _ratio(one: Failed, fresh: Fresh, before: Measured, *, interleaved: bool) -> LogRatio:
    key, metric = (one.target, one.condition), one.bound.metric
    again = fresh.of("new", key, metric)
    if interleaved:
        pairs = zip(fresh.of("base", key, metric), again, strict=True)
        return paired(
            [
                geometric_interval(new).mid / geometric_interval(base).mid
                for base, new in pairs
                if base and new
            ]
        )
    return unpaired_ratio([value for values in again for value in values], before.of(key, metric))


def _signs_of_new(failed: Sequence[Failed], fresh: Fresh, after: Measured) -> Iterator[str]:
    for one in failed:
        key, metric = (one.target, one.condition), one.bound.metric
        again = [value for values in fresh.of("new", key, metric) for value in values]
        if sign := sign_of_itself(one, again, after.of(key, metric)):
            yield sign


def _show(
    found: Comparison,
    confirmation: Confirmation | None,
    alarms: FalseAlarms | None,
    form: str,
    out: Path | None,
) -> None:
    text = reports.confirmation(found, confirmation, alarms, form)
    if form == "text" and out is None:
        Terminal().print(text, soft_wrap=True)
        return
    if form == "github":
        step_summary.append(reports.confirmation(found, confirmation, alarms, "markdown"))
    deliver(text, out)


def _refuse(confirmation: Confirmation | None) -> None:
    """Raise IsobenchError with the exit code of the outcome, unless that is a good one."""
    if confirmation is None or confirmation.outcome is Outcome.PASSED:
        return
    if confirmation.outcome is Outcome.ERRATIC:
        raise IsobenchError(
            f"this host is too erratic to confirm or refute what failed: "
            f"{'; '.join(confirmation.signs)}",
            hint="measure both versions again on a quieter host, or at a quieter hour",
            exit_code=int(Outcome.ERRATIC),
        )
    raise IsobenchError(
        "the bound failed again when it was measured again",
        hint="find the cause and fix it; if the change is intended, use NEW as the next BASE",
        exit_code=int(Outcome.FAILED),
    )
