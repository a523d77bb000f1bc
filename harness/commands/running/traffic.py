"""The access log that `isobench run --replay` replays: read, and made the load of a plan."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, replace
from pathlib import Path

from harness.errors import IsobenchError
from harness.plan.loads import HIGHEST_RATE, LOWEST_RATE, Replay
from harness.results.manifest import Manifest
from reports.words import replayed as words
from workloads import catalog
from workloads.access_log import survey, trace
from workloads.access_log.mapping import Mapping, Rule
from workloads.access_log.trace import Trace

FILE = "replay.npy"
"""The trace in the results folder."""

NAMELESS = "ACCESS_LOG"
"""What run.json has in place of the log's name."""

POPULARITY = "log"
"""What a plan has as the popularity of tenants, where that is the log's."""

SECONDS, QUICK_SECONDS = 5.0, 2.0
MOST_TENANTS = 100
MOST_RATE = 200.0
"""The mean rate that a run offers unless told otherwise: a target that starts a process for each
request can serve it on a usual host, and a day's log would drown any target within a window."""

FIT = "fit"
_SPEED = re.compile(r"(\d+(?:\.\d+)?)(x|/s)?")


@dataclass(frozen=True)
class Wanted:
    """What a user has said of a log; None where nothing.

    `workloads` has the one that stands for paths that no rule maps; `seconds` is the length of a
    window, `speed` is as `speed_of` takes it, `by` is what tells tenants apart (see `survey.read`),
    and `tenants` bounds the hosts that are replayed.
    """

    file: Path
    workloads: Sequence[str]
    seconds: float | None = None
    speed: str | None = None
    by: str = "host"
    rules: Sequence[str] = ()
    tenants: int | None = None
    _: KW_ONLY
    quick: bool = False


@dataclass(frozen=True)
class Traffic:
    """A log as a load for windows of so many seconds, and what is said of it, in sentences.

    `workload` is the name of its workload, or of several, joined by +.
    """

    load: Replay
    trace: Trace
    tenants: int
    workload: str
    seconds: float
    about: Sequence[str]


def must_fit_together(options: Collection[str]) -> None:
    """Refuse options, by their names, that contradict a log, or are about one and it is missing."""
    decided, about = ("load", "popularity", "slices", "target"), ("replay_speed", "replay_tenants")
    if "replay" in options:
        for name in (one for one in decided if one in options):
            raise IsobenchError(
                f"--{name} cannot be used with --replay: the access log decides that",
                hint=f"omit --{name}, or --replay",
            )
        return
    for name in (one for one in (*about, "mapped") if one in options):
        option = "map" if name == "mapped" else name.replace("_", "-")
        raise IsobenchError(
            f"--{option} needs an access log",
            hint="name one with --replay FILE",
        )


def read(wanted: Wanted) -> Traffic:
    """Read a log as a load. Raises IsobenchError and WorkloadError."""
    most = MOST_TENANTS if wanted.tenants is None else wanted.tenants
    usual_s = QUICK_SECONDS if wanted.quick else SECONDS
    seconds = usual_s if wanted.seconds is None else wanted.seconds
    _check(wanted, most, seconds)
    rules = [Rule.read(text) for text in wanted.rules]
    mapping = Mapping(rules, catalog.find(wanted.workloads[0]).name)
    found = survey.read(wanted.file, mapping, wanted.by, most)
    period_s = found.trace.period_s
    mean = found.summary.mean_per_second
    speed = speed_of(wanted.speed, mean, period_s, seconds)
    if not LOWEST_RATE <= mean * speed <= HIGHEST_RATE:
        raise IsobenchError(
            f"{mean * speed:,.3g} requests a second cannot be offered",
            hint=f"choose a rate up to {HIGHEST_RATE:,.0f}, such as --replay-speed 200/s",
        )
    load = Replay(
        rate=mean * speed,
        speed=speed,
        period_s=period_s,
        trace=found.trace.sha256,
        log=found.summary,
    )
    return Traffic(
        load,
        found.trace,
        found.summary.tenants,
        "+".join(name for name, _ in found.summary.workloads),
        seconds,
        words.sentences(asdict(load), seconds),
    )


def _check(wanted: Wanted, tenants: int, seconds: float) -> None:
    """Refuse what makes no sense, before the log is read, which may take a minute."""
    speed_of(wanted.speed, 1.0, 1.0, 1.0)
    if tenants < 1 or not 0 < seconds < math.inf:
        wrong = "tenants" if tenants < 1 else "seconds"
        raise IsobenchError(
            f"--{wrong} must be a number above 0", hint=f"omit --{wrong} to use its default"
        )
    if len(wanted.workloads) != 1:
        raise IsobenchError(
            "with --replay, --workload takes one workload: the one for paths that no --map matches",
            hint="write --workload hello --map '/shop/*=page:5ms' for two",
        )


def speed_of(text: str | None, mean: float, period_s: float, seconds: float) -> float:
    """Return how many times as fast a log of so many requests a second is replayed.

    `60` or `60x` is 60 times as fast, `200/s` so that it has 200 requests a second on average,
    `fit` so that `seconds` hold all of it. Without a word it is as `fit`, at no more than
    `MOST_RATE`. Neither of the two slows it down. Raises IsobenchError.
    """
    fitting = max(1.0, period_s / seconds)
    if text is None:
        return max(1.0, min(fitting, MOST_RATE / mean))
    if text == FIT:
        return fitting
    number, unit = _number(text)
    return number / mean if unit == "/s" else number


def _number(text: str) -> tuple[float, str | None]:
    match = _SPEED.fullmatch(text)
    if match is None or float(match[1]) == 0:
        raise IsobenchError(
            f"--replay-speed {text!r} is not a speed",
            hint="write 1 for the log's own, 60 for 60 times as fast, 200/s for 200 requests a "
            f"second on average, or {FIT} for the whole log within --seconds",
        )
    return float(match[1]), match[2]


def nameless(manifest: Manifest) -> Manifest:
    """Return what run.json says without the name of the log, which may be that of a customer."""
    argv = list(manifest.argv)
    for place, word in enumerate(argv):
        if word.startswith("--replay="):
            argv[place] = f"--replay={NAMELESS}"
        elif place and argv[place - 1] == "--replay":
            argv[place] = NAMELESS
    arguments = {**manifest.arguments, "replay": NAMELESS}
    return replace(manifest, argv=tuple(argv), arguments=arguments)


def of_folder(folder: Path, load: Replay) -> Trace:
    """Return the trace that an earlier run left. Raises IsobenchError where it is another one."""
    found = trace.read(folder / FILE)
    if found.sha256 != load.trace:
        raise IsobenchError(
            f"{folder / FILE} is not the trace that the run replayed",
            hint="restore it from a copy, or replay the access log again with another --out",
        )
    return found
