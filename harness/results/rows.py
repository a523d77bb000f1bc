"""The rows of a results folder's tables: one class for each Parquet file.

A class is the only declaration of its table; `schema` derives the file's columns from the fields:
their order, their types, and `| None` where a null may be. A field's unit is in its name;
docs/results.md describes each column. Files and columns are a contract with other people's tools: a
new column is added last, and with `| None`, since the folders of older versions lack it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """A row of trials.parquet; docs/results.md describes each column.

    `verdict` is "ok" or "void: " and the reason. A void trial has no numbers; `first_error`
    then holds the evidence.
    """

    trial: str
    block: int
    position: int
    target: str
    kind: str
    runs_as: str
    workload: str
    load: str
    connection: str
    tenants: int
    popularity: str
    started_at: str
    measured_s: float | None = None
    requests: int | None = None
    errors: int | None = None
    first_error: str | None = None
    requests_per_second: float | None = None
    mean_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    served: int | None = None
    sent: int | None = None
    server_cpu_us_per_request: float | None = None
    server_cpu_source: str | None = None
    forks_per_request: float | None = None
    context_switches_per_request: float | None = None
    page_faults_per_request: float | None = None
    aborts: int | None = None
    memory_mib: float | None = None
    processes: int | None = None
    generator_cpu_share: float | None = None
    steal_share: float | None = None
    startup_s: float | None = None
    verdict: str
    offered_per_second: float | None = None
    late_worst_ms: float | None = None
    late: int | None = None
    dropped: int | None = None
    attempt: int | None = 1
    took_s: float | None = None
    answered: int | None = None
    verified: int | None = None
    self_checks: str | None = None
    steady: str | None = None
    steady_from_s: float | None = None
    discarded_s: float | None = None
    disturbed: str | None = None
    foreign_cpu_share: float | None = None
    pressure_share: float | None = None
    spin_before: float | None = None
    spin_after: float | None = None
    runnable_before: int | None = None
    runnable_after: int | None = None
    env_bytes: int | None = None
    hash_seed: int | None = None
    port: int | None = None
    tenant_order: str | None = None
    interleaved_ratio: float | None = None
    slices: int | None = None
    slice_s: float | None = None
    asked_first: int | None = None

    def __post_init__(self) -> None:
        """Refuse a verdict that no reader knows, and an "ok" trial without a rate."""
        if self.verdict != "ok" and not self.verdict.startswith("void: "):
            raise ValueError(f"verdict {self.verdict!r} is neither ok nor void: reason")
        if self.verdict == "ok" and not self.requests_per_second:
            raise ValueError(f"trial {self.trial} is ok but has no requests per second")


@dataclass(frozen=True, kw_only=True)
class LatencyRow:
    """The latencies of a trial by one clock: service or response. `hdr` is an HdrHistogram."""

    trial: str
    target: str
    workload: str
    load: str
    connection: str
    block: int
    clock: str
    count: int
    min_us: float
    max_us: float
    hdr: str


@dataclass(frozen=True, kw_only=True)
class CrosscheckRow:
    """What our generator and another tool measured of the same server."""

    target: str
    workload: str
    load: str
    connection: str
    tenants: int
    popularity: str
    tool: str
    rounds: int
    own_per_second: float | None = None
    tool_per_second: float | None = None
    rate_difference: float | None = None
    own_p50_ms: float | None = None
    tool_p50_ms: float | None = None
    own_p99_ms: float | None = None
    tool_p99_ms: float | None = None
    tool_errors: int | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class PhaseRow:
    """A phase of a target over all its profiled requests; `order` is its place in a request."""

    target: str
    phase: str
    order: int
    median_us: float | None
    p90_us: float | None
    share: float | None
    part: str


@dataclass(frozen=True, kw_only=True)
class ProfileRow:
    """What the profile of a target found besides its phases. Unknown numbers are NaN."""

    target: str
    workload: str
    tenants: int
    requests: int
    disordered: int
    service_us: float | None
    accounted: float | None
    missing: str
    no_kernel_view: str
    page_faults: float | None
    context_switches: float | None
    forks: float | None
    calls_counted_by: str
    stamping_cost: float | None
    stamping_cost_low: float | None
    stamping_cost_high: float | None


@dataclass(frozen=True, kw_only=True)
class CallRow:
    """How often a target makes a system call, in calls a request."""

    target: str
    call: str
    per_request: float


@dataclass(frozen=True, kw_only=True)
class CostRow:
    """The cost of one thing that a mode does, in microseconds, and how it was measured."""

    group: str
    name: str
    parameter: str
    value_us: float | None = None
    low_us: float | None = None
    high_us: float | None = None
    measure: str | None = None
    heap_mib: float | None = None
    pages: str | None = None
    call_us: float | None = None
    user_us: float | None = None
    system_us: float | None = None
    page_faults: float | None = None
    memory_mib: float | None = None
    syscalls: float | None = None
    files_opened: float | None = None
    path: str | None = None
    version: str | None = None
    stamp: str | None = None
    place: int | None = None
    depth: int | None = None
    cumulative_us: float | None = None
    rounds: int | None = None
    repetitions: int | None = None


@dataclass(frozen=True, kw_only=True)
class AttackRow:
    """The outcome of an attack on a target."""

    target: str
    attack: str
    outcome: str
    evidence: str
    family: str | None = None
    title: str | None = None
    runs_as: str | None = None
    control: str | None = None
    took_s: float | None = None
    language: str | None = None
    beside: str | None = None
    precedent: str | None = None


@dataclass(frozen=True, kw_only=True)
class DensityRow:
    """A target with so many tenants; `note` says why there are no numbers, if there are none."""

    target: str
    tenants: int
    popularity: str
    requests_per_second: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    memory_mib: float | None = None
    processes: int | None = None
    startup_s: float | None = None
    active_tenants: int | None = None
    idle_memory_mib: float | None = None
    available_mib: float | None = None
    cpu_us_per_request: float | None = None
    requests: int | None = None
    errors: int | None = None
    worker_starts: int | None = None
    evictions: int | None = None
    code_cache_hit_rate: float | None = None
    seconds: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ColdStartRow:
    """The time to a tenant's first answer: of one never asked, or whose worker was evicted."""

    target: str
    state: str
    page_cache: str
    requests: int
    p50_ms: float | None = None
    p99_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class NeighbourRow:
    """A window of a quiet tenant's open load beside a noisy tenant, or `alone`.

    `hdr` is an HdrHistogram of response times. `verdict` is "ok" or "void: " and the reason; a void
    window has no numbers. Wrong answers do not make it void: they are what is measured.
    """

    target: str
    runs_as: str
    noise: str
    limits: str
    block: int
    position: int
    offered_per_second: float | None = None
    measured_s: float | None = None
    requests: int | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    errors: int | None = None
    dropped: int | None = None
    first_error: str | None = None
    noise_done: int | None = None
    noise_refused: int | None = None
    first_refusal: str | None = None
    generator_waited_share: float | None = None
    hdr: str | None = None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class SloRow:
    """A load in a search for the highest rate at which a promise is kept.

    `outcome` and `found_per_second` are those of the whole search, the same in all of its rows:
    "found", "at least", "never", "generator-bound", or "void: " and the reason. `verdict` is of the
    load: "kept", "broken", "overloaded", "generator-bound"; "pilot" of the closed loads before. It
    is "void" where the load failed. `measure` is what came nearest to its limit, `value` is in
    microseconds or, of errors, a share, null where it has no end, and `margin` the same as a share
    of the limit.
    """

    target: str
    runs_as: str
    promise: str
    block: int
    outcome: str
    found_per_second: float | None = None
    step: int
    load: str
    verdict: str
    workload: str
    connection: str
    tenants: int
    measured_s: float | None = None
    requests: int | None = None
    wanted_requests: int | None = None
    offered_per_second: float | None = None
    answered_per_second: float | None = None
    measure: str | None = None
    value: float | None = None
    margin: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    errors: int | None = None
    dropped: int | None = None
    first_error: str | None = None
    server_cpu_us_per_request: float | None = None
    server_cores: int
    generator_busy_share: float | None = None
    rate_per_tenant: float | None = None
    hdr: str | None = None


@dataclass(frozen=True, kw_only=True)
class MechanismRow:
    """What a server of `dso` with a mechanism took in a block, and `dso` beside it."""

    block: int
    mechanism: str
    workload: str
    load: str
    connection: str
    requests: int | None = None
    cpu_us_per_request: float | None = None
    page_faults_per_request: float | None = None
    context_switches_per_request: float | None = None
    baseline_cpu_us_per_request: float | None = None
    baseline_page_faults_per_request: float | None = None
    baseline_context_switches_per_request: float | None = None
    took_s: float | None = None
    verdict: str


TABLES: Mapping[str, type] = {
    "trials": TrialRow,
    "latency": LatencyRow,
    "crosscheck": CrosscheckRow,
    "phases": PhaseRow,
    "profiles": ProfileRow,
    "calls": CallRow,
    "costs": CostRow,
    "attacks": AttackRow,
    "density": DensityRow,
    "coldstarts": ColdStartRow,
    "neighbour": NeighbourRow,
    "mechanisms": MechanismRow,
    "slo": SloRow,
}
"""Each table by the name of its file, without `.parquet`."""
