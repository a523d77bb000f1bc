"""Which workload stands for which path of a log. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from workloads.catalog import find
from workloads.errors import WorkloadError

DROP = "drop"
STATIC, DROPPED = -1, -2
"""What `Mapping.of` returns for a static file, and for what a rule drops."""

MOST_WORKLOADS = 16
_PATHS_KEPT = 65_536
_STATIC = re.compile(
    rb".*\.(?:css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|avif|bmp|woff2?|ttf|otf|eot|mp[34]|webm"
    rb"|ogg|mov|pdf|zip|t?gz|bz2|xz|txt)",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class Rule:
    """Paths that match one of the glob patterns are requests for a workload, or are dropped.

    With a `method`, only requests of that method. `*` stands for slashes too.
    """

    patterns: tuple[str, ...]
    workload: str
    method: str = ""

    @classmethod
    def read(cls, text: str) -> "Rule":
        """Read `PATTERN=WORKLOAD`, such as `*.php|/shop/*=page:5ms`. Raises `WorkloadError`."""
        left, equals, name = text.rpartition("=")
        method, space, paths = left.rpartition(" ")
        patterns = tuple(filter(None, paths.split("|")))
        if not equals or not patterns or (space and not method.isalpha()):
            raise WorkloadError(
                f"{text!r} is not a rule of --map",
                hint="write PATTERN=WORKLOAD, such as '/shop/*=page:5ms', 'POST *=upload' or "
                f"'/status=drop'; the default for static files is {DROP}",
            )
        return cls(patterns, DROP if name == DROP else find(name).name, method.upper())


class Mapping:
    """Maps paths to the numbers of workloads: the first rule that matches decides."""

    def __init__(self, rules: Sequence[Rule], default: str) -> None:
        """Without a rule, a static file is dropped, and `default` stands for all else."""
        names = (rule.workload for rule in rules if rule.workload != DROP)
        self.workloads = tuple(dict.fromkeys((default, *names)))
        if len(self.workloads) > MOST_WORKLOADS:
            raise WorkloadError(
                f"too many workloads in one load: {len(self.workloads)}",
                hint=f"map to no more than {MOST_WORKLOADS} workloads",
            )
        self._rules = [
            (rule.method.encode(), _compiled(rule), self._number(rule.workload)) for rule in rules
        ]
        # Bound by the size of the cache, however many paths a log has.
        self.of = lru_cache(_PATHS_KEPT)(self._of)

    def _number(self, workload: str) -> int:
        return DROPPED if workload == DROP else self.workloads.index(workload)

    def _of(self, method: bytes, path: bytes) -> int:
        """Return the workload's place in `workloads`, `STATIC` or `DROPPED`."""
        for wanted, pattern, number in self._rules:
            if (not wanted or wanted == method) and pattern.match(path):
                return number
        return STATIC if _STATIC.fullmatch(path) else 0


def _compiled(rule: Rule) -> re.Pattern[bytes]:
    return re.compile("|".join(map(translate, rule.patterns)).encode())
