"""The highest rates at which targets keep a promise: from slo.parquet. Pure.

A search gives one rate a block; the interval is Student's t on their logarithms, as everywhere
(`harness.stats.intervals`). Where the generator was the limit of a search, its rate is only a lower
bound, and so is the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from harness.stats.intervals import NOTHING, Interval, geometric_interval

FOUND, AT_LEAST, NEVER, UNKNOWN = "found", "at least", "never", "generator-bound"
PILOT, KEPT = "pilot", "kept"


@dataclass(frozen=True)
class Kept:
    """What is known of a target.

    `rate` is in requests a second, of the `blocks` that found one; `at_least` says that it may be
    higher. `never` counts the blocks in which no rate kept the promise, and `alone` is what its
    worst `measure` was with one user (microseconds; a share of `errors`), `alone_of_limit` the same
    as a share of what was promised. `cpu_share` is how much
    of the server's processors was used at the highest rate that kept the promise, `requests` the
    median of a load's, of `wanted`. `void` counts the searches that prove nothing; `failed` is why
    these, or others, found nothing, "" if all did.
    """

    target: str
    runs_as: str
    promise: str
    workload: str
    connection: str
    blocks: int
    rate: Interval
    at_least: bool
    never: int
    measure: str
    alone: float
    cores: int
    cpu_share: float
    requests: float
    wanted: float
    rate_per_tenant: float
    void: int
    failed: str
    alone_of_limit: float = math.nan

    @property
    def is_never(self) -> bool:
        """Whether the promise is not kept at any rate, in most blocks at least."""
        return self.never > self.blocks

    @property
    def per_core(self) -> Interval:
        """The rate divided by the server's processors."""
        return _divided(self.rate, self.cores)

    @property
    def tenants_per_core(self) -> Interval:
        """How many tenants a core serves; NaN where a tenant's rate was not given."""
        return _divided(self.per_core, self.rate_per_tenant)

    @property
    def too_few(self) -> bool:
        """Whether loads had fewer requests than it takes to know the promise's measure."""
        return self.requests < 0.9 * self.wanted


def _divided(interval: Interval, by: float) -> Interval:
    return Interval(interval.low / by, interval.mid / by, interval.high / by)


def kept(loads: pd.DataFrame) -> list[Kept]:
    """Return what is known of each target, those first that keep it at the highest rates."""
    if loads.empty:
        return []
    return sorted(_kept(loads), key=lambda one: (one.is_never, -_known(one.rate.mid)))


def _known(number: float) -> float:
    return number if math.isfinite(number) else 0.0


def _kept(loads: pd.DataFrame) -> Iterator[Kept]:
    for target, rows in loads.groupby("target", sort=False):
        searches = rows.drop_duplicates("block")
        found = searches[searches["outcome"].isin((FOUND, AT_LEAST))]
        rates = found["found_per_second"].tolist()
        void = searches[searches["outcome"].str.startswith("void: ")]["outcome"].tolist()
        bound = int((searches["outcome"] == UNKNOWN).sum())
        looks = rows[~rows["verdict"].isin((PILOT, "void"))]
        alone = rows[rows["load"] == "closed:1"].dropna(subset=["margin"])
        yield Kept(
            target=str(target),
            runs_as=str(rows["runs_as"].iloc[0]),
            promise=str(rows["promise"].iloc[0]),
            workload=str(rows["workload"].iloc[0]),
            connection=str(rows["connection"].iloc[0]),
            blocks=len(found),
            rate=geometric_interval(rates) if rates else NOTHING,
            at_least=bool((found["outcome"] == AT_LEAST).any()),
            never=int((searches["outcome"] == NEVER).sum()),
            measure=str(alone["measure"].iloc[0]) if len(alone) else "",
            alone=float(alone["value"].median()),
            alone_of_limit=float(alone["margin"].median()),
            cores=int(rows["server_cores"].iloc[0]),
            cpu_share=_cpu_share(rows),
            requests=float(looks["requests"].median()),
            wanted=float(looks["wanted_requests"].median()),
            rate_per_tenant=float(rows["rate_per_tenant"].iloc[-1]),
            void=len(void),
            failed=_reason(void, bound),
        )


def _cpu_share(rows: pd.DataFrame) -> float:
    """Return the median over blocks of the processor's share at the highest rate that was kept."""
    good = rows[rows["verdict"] == KEPT].dropna(subset=["server_cpu_us_per_request"])
    if good.empty:
        return math.nan
    highest = good.loc[good.groupby("block")["offered_per_second"].idxmax()]
    used = highest["answered_per_second"] * highest["server_cpu_us_per_request"] / 1e6
    return float((used / highest["server_cores"]).median())


def _reason(void: list[str], bound: int) -> str:
    if void:
        return void[0].removeprefix("void: ")
    return "the load generator was too slow for any rate that was tried" if bound else ""


def frame(found: list[Kept]) -> pd.DataFrame:
    """Return the frame of slo.csv: a row a target."""
    return pd.DataFrame([_columns(one) for one in found])


def _columns(one: Kept) -> dict[str, object]:
    tenants = one.tenants_per_core
    return {
        "target": one.target,
        "runs_as": one.runs_as,
        "promise": one.promise,
        "workload": one.workload,
        "connection": one.connection,
        "blocks": one.blocks,
        "requests_per_second": one.rate.mid,
        "requests_per_second_low": one.rate.low,
        "requests_per_second_high": one.rate.high,
        "at_least": one.at_least,
        "never_blocks": one.never,
        "server_cores": one.cores,
        "cpu_share": one.cpu_share,
        "rate_per_tenant": one.rate_per_tenant,
        "tenants_per_core": tenants.mid,
        "tenants_per_core_low": tenants.low,
        "tenants_per_core_high": tenants.high,
        "failed": one.failed,
    }
