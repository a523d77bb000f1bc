"""Reads a whole log into a trace and a summary.

Strategy. The log is gone through once; of a request 13 bytes remain until its end: the second,
the number of its host, the workload. Only then it is known which hosts are the most popular, and
these become tenants. Names of hosts are forgotten when the trace is made.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workloads import popularity
from workloads.access_log.line import Entry, MalformedLine, parse
from workloads.access_log.mapping import STATIC, Mapping
from workloads.access_log.stream import LONGEST_LINE, LogFile
from workloads.access_log.summary import Summary
from workloads.access_log.trace import Trace
from workloads.errors import WorkloadError

NO_HOST = "no virtual host before the address"
TOO_LONG = f"longer than {LONGEST_LINE} bytes"
MOST_HOSTS = 1 << 20
"""How many are told apart: whoever sends requests may name hosts of his own invention."""

_USUAL_METHODS = (b"GET", b"HEAD", b"POST")
_NO_HOST_HINT = (
    "tell tenants apart by the path, or take them all for one: --replay-tenants path, or one"
)
_FORMAT_HINT = (
    'name a log in the format vhost_combined (%v:%p %h %l %u %t "%r" %>s %O ...) or combined; '
    "see docs/replaying.md"
)
_SHOWN = 3
_HOPELESS = 10_000
"""After so many lines, most of which are malformed, nobody waits for the rest of a large file."""


@dataclass(frozen=True)
class Read:
    """A log as it is replayed, and what was read."""

    trace: Trace
    summary: Summary


def read(path: Path, mapping: Mapping, by: str, most_tenants: int) -> Read:
    """Read an access log; the most popular of its hosts become tenants, up to so many.

    Tenants are told apart by their virtual host (`host`), by the first segment of the path
    (`path`), or not at all (`one`). Raises `WorkloadError` for a file that is no such log.
    """
    if by not in _NAMES:
        raise WorkloadError(
            f"unknown value of --replay-tenants {by!r}", hint=f"choose one of {', '.join(_NAMES)}"
        )
    survey = _Survey(mapping, _NAMES[by])
    with LogFile(path) as log:
        survey.go_through(log.lines(), path)
        survey.must_be_a_log(path)
        return survey.conclude(path, most_tenants, log.sha256, log.length)


def _by_host(entry: Entry) -> bytes:
    if entry.host is None:
        raise MalformedLine(NO_HOST)
    return entry.host


def _by_path(entry: Entry) -> bytes:
    return (entry.path or b"/").split(b"/", 2)[1]


def _as_one(_entry: Entry) -> bytes:
    return b""


_NAMES: dict[str, Callable[[Entry], bytes]] = {
    "host": _by_host,
    "path": _by_path,
    "one": _as_one,
}


class _Survey:
    """What is known of a log so far; the counts have the names that they have in `Summary`."""

    def __init__(self, mapping: Mapping, name_of: Callable[[Entry], bytes]) -> None:
        self._mapping = mapping
        self._name_of = name_of
        self._hosts: dict[bytes, int] = {}
        self._seconds, self._numbers, self._workloads = array("q"), array("I"), array("B")
        self._reasons: Counter[str] = Counter()
        self._first: list[tuple[int, str]] = []
        self._latest = 0
        self._lines = self._beyond = 0
        self._counts: Counter[str] = Counter()

    def go_through(self, lines: Iterable[bytes], path: Path) -> None:
        """Take each line into account. Raises `WorkloadError` where there is no hope."""
        for line in lines:
            self._lines += 1
            try:
                if len(line) >= LONGEST_LINE:
                    raise MalformedLine(TOO_LONG)
                entry = parse(line.rstrip(b"\r\n"))
                self._take(entry, self._name_of(entry))
            except MalformedLine as error:
                self._reasons[str(error)] += 1
                if len(self._first) < _SHOWN:
                    self._first.append((self._lines, str(error)))
            if self._lines == _HOPELESS:
                self.must_be_a_log(path)

    def _take(self, entry: Entry, name: bytes) -> None:
        if entry.second < self._latest:
            self._counts["out_of_order"] += 1
        else:
            self._latest = entry.second
        if entry.path is None:
            self._counts["without_page"] += 1
            return
        if entry.method not in _USUAL_METHODS:
            self._counts["other_methods"] += 1
        if entry.status >= 400:
            self._counts["failed"] += 1
        workload = self._mapping.of(entry.method, entry.path)
        if workload < 0:
            self._counts["static" if workload == STATIC else "dropped"] += 1
        else:
            self._keep(entry.second, name, workload)

    def _keep(self, second: int, name: bytes, workload: int) -> None:
        number = self._hosts.get(name)
        if number is None:
            if len(self._hosts) >= MOST_HOSTS:
                self._beyond += 1
                return
            number = self._hosts[name] = len(self._hosts)
        self._seconds.append(second)
        self._numbers.append(number)
        self._workloads.append(workload)

    def must_be_a_log(self, path: Path) -> None:
        """Raise `WorkloadError` where there are no lines, or most are malformed."""
        malformed = self._reasons.total()
        if self._lines and 2 * malformed <= self._lines:
            return
        reason, _ = (self._reasons.most_common(1) or [("no lines", 0)])[0]
        raise WorkloadError(
            f"cannot replay {path} as an access log: {malformed:,} of {self._lines:,} lines "
            f"are malformed, most often: {reason}",
            hint=_NO_HOST_HINT if reason == NO_HOST else _FORMAT_HINT,
        )

    def conclude(self, path: Path, most_tenants: int, sha256: str, length: int) -> Read:
        """Number the most popular hosts, and make the trace of their requests."""
        if not self._seconds:
            raise self._nothing(path)
        numbers = np.frombuffer(self._numbers, dtype=np.uint32)
        popular = np.bincount(numbers)
        tenants = ranks(popular, most_tenants)[numbers]
        kept = tenants >= 0
        seconds = np.frombuffer(self._seconds, dtype=np.int64)[kept]
        workloads = np.frombuffer(self._workloads, dtype=np.uint8)[kept]
        requests = np.bincount(workloads, minlength=len(self._mapping.workloads))
        counted = ("without_page", "static", "dropped", "other_methods", "failed", "out_of_order")
        summary = Summary(
            sha256=sha256,
            bytes=length,
            lines=self._lines,
            malformed=self._reasons.total(),
            first_malformed=tuple(self._first),
            left_out=len(kept) - len(seconds) + self._beyond,
            requests=len(seconds),
            hosts=len(popular),
            tenants=min(len(popular), most_tenants),
            top_share=top_share(popular),
            exponent=popularity.fitted_exponent(popular),
            workloads=tuple(_used(self._mapping.workloads, requests)),
            **{name: self._counts[name] for name in counted},
            **_pace(seconds),
        )
        numbered = (np.cumsum(requests > 0) - 1)[workloads]  # without those that have no request
        return Read(Trace.of(seconds, tenants[kept], numbered), summary)

    def _nothing(self, path: Path) -> WorkloadError:
        counts = self._counts
        return WorkloadError(
            f"nothing to replay in {path}: of {self._lines:,} lines, "
            f"{counts['without_page']:,} have no page, {counts['static']:,} are of static files "
            f"and {counts['dropped']:,} are dropped by --map",
            hint="map more paths to workloads, such as --map '*=hello'",
        )


def ranks(popular: NDArray[np.intp], most: int) -> NDArray[np.int64]:
    """Return the place of each host by how popular it is, from 0; -1 from place `most` on.

    Of hosts that are equally popular the first in the log comes first.
    """
    ranking = np.argsort(-popular, kind="stable")[:most]
    places = np.full(len(popular), -1, dtype=np.int64)
    places[ranking] = np.arange(len(ranking))
    return places


def _used(names: Sequence[str], requests: NDArray[np.intp]) -> Iterator[tuple[str, int]]:
    """Yield each name that has requests, with their number."""
    for name, count in zip(names, requests.tolist(), strict=True):
        if count:
            yield name, count


def top_share(counts: NDArray[np.intp]) -> float:
    """Return the share that the most popular hundredth has, rounded up to whole hosts."""
    most = -(-len(counts) // 100)
    return float(np.sort(counts)[-most:].sum() / counts.sum())


def _pace(seconds: NDArray[np.int64]) -> dict[str, Any]:
    """Return span, rates and the longest gap of requests, each at its whole second."""
    present, counts = np.unique(seconds, return_counts=True)
    span_s = int(present[-1] - present[0]) + 1
    return {
        "span_s": float(span_s),
        "mean_per_second": len(seconds) / span_s,
        "peak_per_second": int(counts.max()),
        "longest_gap_s": float(np.diff(present).max(initial=0)),
    }
