"""What was read of an access log, in numbers: nothing here names a host, a visitor or a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The numbers of a log. Shares lie between 0 and 1, rates are in requests per second.

    `sha256` and `bytes` are those of the file as it is stored. `lines` are all lines;
    `first_malformed` has number and reason of the first of the `malformed`. Of the others,
    `without_page` asked for nothing, `static` were for static files, `dropped` by a rule, and
    `left_out` for the hosts that are no tenants here. `requests` is what is left. Of all that asked
    for a page, `other_methods` were neither GET, HEAD nor POST, and `failed` had a status of 400 or
    more. `out_of_order` lines came after one of a later second.

    `hosts` counts all tenants of the log, `tenants` those that take part. `top_share` is the share
    of requests of the most popular hundredth of the hosts, one at least, and `exponent` that of
    Zipf's law fitted to them, None where there are too few. `span_s`, `mean_per_second`,
    `peak_per_second` (of the busiest second) and `longest_gap_s` are of `requests`, at the log's
    own speed. `workloads` has each workload with its number of requests, in the order of their
    numbers in the trace; none that has no request.
    """

    sha256: str
    bytes: int
    lines: int
    malformed: int
    first_malformed: tuple[tuple[int, str], ...]
    without_page: int
    static: int
    dropped: int
    left_out: int
    requests: int
    other_methods: int
    failed: int
    out_of_order: int
    hosts: int
    tenants: int
    top_share: float
    exponent: float | None
    span_s: float
    mean_per_second: float
    peak_per_second: int
    longest_gap_s: float
    workloads: tuple[tuple[str, int], ...]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Summary":
        """Read it back from run.json. Raises TypeError or KeyError where it is not one of ours."""
        lists = {
            name: tuple((first, second) for first, second in fields[name])
            for name in ("first_malformed", "workloads")
        }
        return cls(**{**fields, **lists})
