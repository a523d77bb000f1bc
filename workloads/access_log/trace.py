"""What is replayed of an access log: an array of times, tenants and workloads.

A trace is a NumPy file of 64-bit integers with two rows: the time of each request in nanoseconds
after the first whole second of the log, ascending; and `tenant << 8 | workload`. Tenant 0 is the
most popular. Generators map the file into memory, so a long trace costs each of them little.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workloads.errors import WorkloadError

NS = 1_000_000_000
WORKLOAD_BITS = 8
_WORKLOAD = (1 << WORKLOAD_BITS) - 1
_CHUNK = 1024
_SEED = 0x106

Column = NDArray[np.int64]


@dataclass(frozen=True)
class Trace:
    """Requests in the order of their times; `file` is their NumPy array of shape (2, n)."""

    array: Column

    @classmethod
    def of(cls, seconds: Column, tenants: Column, workloads: Column) -> "Trace":
        """Make a trace of the whole second, the tenant and the workload of each request.

        A log tells no more than the second, so requests are spread over it at random, always
        alike; those of one second stay in their order. What is out of order is sorted.
        """
        order = np.argsort(seconds, kind="stable")
        within = np.random.default_rng(_SEED).integers(0, NS, len(seconds), dtype=np.int64)
        times = np.sort((seconds[order] - seconds.min()) * NS + within)
        return cls(np.stack([times, (tenants << WORKLOAD_BITS | workloads)[order]]))

    def to_bytes(self) -> bytes:
        """Return the content of its file."""
        file = io.BytesIO()
        np.save(file, self.array)
        return file.getvalue()

    @property
    def sha256(self) -> str:
        """The digest of its file."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def period_s(self) -> int:
        """From the first whole second to the end of the last: then the log begins anew."""
        return int(self.array[0, -1] // NS) + 1


def read(path: Path) -> Trace:
    """Return the trace in a file, which is mapped into memory. Raises `WorkloadError`."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise WorkloadError(
            f"cannot read the trace {path}: {error}",
            hint="replay the access log again, into another folder",
        ) from None
    if array.dtype != np.int64 or array.ndim != 2 or len(array) != 2 or not array.shape[1]:
        raise WorkloadError(
            f"{path} holds no trace", hint="replay the access log again, into another folder"
        )
    return Trace(array)


@dataclass(frozen=True)
class Playback:
    """A trace that is played: `speed` times as fast, from a given request on, round and round.

    `first` is the number of the request that is due `lead_s` seconds after the beginning; what
    comes before it in the log, or at its end, is played until then.
    """

    trace: Trace
    speed: float
    first: int = 0
    lead_s: float = 0.0

    @classmethod
    def of(cls, fields: Mapping[str, Any], tenants: int, workloads: int) -> "Playback":
        """Read `file`, `speed`, `at` (a share of the requests) and `lead_s`.

        Raises `WorkloadError`, also where the trace has more tenants or workloads than these.
        Raises KeyError, TypeError or ValueError where a field is missing or malformed.
        """
        trace = read(Path(fields["file"]))
        most = trace.array[1].max() >> WORKLOAD_BITS, (trace.array[1] & _WORKLOAD).max()
        if most[0] >= tenants or most[1] >= workloads:
            raise WorkloadError(
                f"the trace has {most[0] + 1} tenants and {most[1] + 1} workloads, "
                f"the load {tenants} and {workloads}",
                hint="replay the access log again, into another folder",
            )
        speed, at = float(fields["speed"]), float(fields["at"])
        if not (0 < speed < np.inf and 0 <= at < 1):
            raise ValueError(f"speed {speed}, at {at}")
        return cls(trace, speed, int(at * trace.array.shape[1]), float(fields["lead_s"]))

    @property
    def _begins_ns(self) -> int:
        """The time in the log at which it begins; below 0, in the round before."""
        return int(self.trace.array[0, self.first]) - round(self.lead_s * self.speed * NS)

    def offsets(self) -> Iterator[float]:
        """Yield the times of sending without an end, ascending, in seconds after the beginning."""
        begins_ns, period_ns = self._begins_ns, self.trace.period_s * NS
        for turn, part in self._parts():
            yield from ((part[0] + (turn * period_ns - begins_ns)) / (NS * self.speed)).tolist()

    def choices(self) -> Iterator[tuple[int, int]]:
        """Yield the tenant and the workload of each of these requests."""
        for _, part in self._parts():
            tenants, workloads = part[1] >> WORKLOAD_BITS, part[1] & _WORKLOAD
            yield from zip(tenants.tolist(), workloads.tolist(), strict=True)

    def _parts(self) -> Iterator[tuple[int, Column]]:
        """Yield how often the log has begun anew, and the requests that come next."""
        turn, into = divmod(self._begins_ns, self.trace.period_s * NS)
        start = int(np.searchsorted(self.trace.array[0], into))
        while True:
            for low in range(start, self.trace.array.shape[1], _CHUNK):
                yield turn, self.trace.array[:, low : low + _CHUNK]
            turn, start = turn + 1, 0
