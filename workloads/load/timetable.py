"""When a load may send, where several servers are loaded in slices of time. Pure.

All servers of a group live at once; one is loaded, the others wait for requests and use nothing.
Each load has a generator process of its own. They need not talk: each has a timetable of its own
slices, and all read the same clock (CLOCK_MONOTONIC). Who has which slice, and why, is decided by
the harness (`harness.plan.interleaving`).
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Timetable:
    """The slices of one load, in their order.

    `begins` and `lengths` have one entry a slice. `measured_from` and `measured_to` enclose what
    is measured; slices before are there to warm up. All but `epoch` are in seconds from the epoch,
    which is on CLOCK_MONOTONIC.
    """

    epoch: float
    begins: tuple[float, ...]
    lengths: tuple[float, ...]
    measured_from: float
    measured_to: float

    @classmethod
    def read(cls, fields: Mapping[str, Any], epoch: float) -> "Timetable":
        """Make a timetable of a JSON object with all fields but `epoch`.

        Raises KeyError, TypeError or ValueError where it has not these fields.
        """
        begins, lengths = (tuple(map(float, fields[name])) for name in ("begins", "lengths"))
        if len(begins) != len(lengths) or list(begins) != sorted(begins):
            raise ValueError("begins and lengths do not go together")
        window = (float(fields[name]) for name in ("measured_from", "measured_to"))
        return cls(epoch, begins, lengths, *window)

    @property
    def window(self) -> tuple[float, float]:
        """Begin and end of what is measured, on CLOCK_MONOTONIC."""
        return self.epoch + self.measured_from, self.epoch + self.measured_to

    def wait_s(self, now: float) -> float:
        """Return the seconds from `now` until requests may be sent: 0 within an own slice.

        Infinite after the last one.
        """
        at = now - self.epoch
        following = bisect_right(self.begins, at)
        if following and at < self.begins[following - 1] + self.lengths[following - 1]:
            return 0.0
        return self.begins[following] - at if following < len(self.begins) else math.inf

    def slices(self) -> Iterator[tuple[float, float]]:
        """Yield begin and end of each slice, on CLOCK_MONOTONIC."""
        for begin, length in zip(self.begins, self.lengths, strict=True):
            yield self.epoch + begin, self.epoch + begin + length
