"""From what was seen of a trial to its row. Pure: nothing here touches a server, a clock or a disk.

The road of a trial: `prepare` says what is to be done, `bench` does it, this judges what came of
it. Each hands one value on: `Prepared`, then `Seen`, then `Trial`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.plan.loads import Closed
from harness.results.conditions import is_log
from harness.results.rows import TrialRow
from harness.stats import interleaved, self_checks, steady_state
from harness.stats.shared_speed import relative_rates
from harness.target import probes
from harness.trial.judging import disturbance
from harness.trial.judging.self_check import checked, closed_in_slices
from harness.trial.judging.usage import usage
from harness.trial.meter import Stretch
from harness.trial.outcome import UNANSWERED, Latencies, Seen, Surroundings, Trial, void
from workloads.load import schedule


def cold_s(attempts: Sequence[Seen | Trial]) -> float:
    """Return for how long the slices of these trials are unlike the rest; 0 where none has any."""
    loads = [_load(one) for one in attempts if isinstance(one, Seen)]
    return interleaved.cold_s([load for load in loads if load is not None])


def judge(
    attempts: Sequence[Seen | Trial],
    surroundings: Surroundings,
    baseline: str,
    cold_s: float = 0.0,
) -> list[Trial]:
    """Return the trials of servers that lived at the same time; a Trial among them is void.

    Interleaved ones get their ratio to the one of the target `baseline`, if it is among them. The
    first `cold_s` seconds of their slices are left out.
    """
    seen = [one for one in attempts if isinstance(one, Seen)]
    own_cpu_s = sum(probes.between(one.first, one.last).cpu_s for one in seen)
    loads = [None if isinstance(one, Trial) else _load(one) for one in attempts]
    counted = [None if load is None else interleaved.portions(load, cold_s) for load in loads]
    ratios = _ratios(attempts, counted, baseline)

    def judged(one: Seen | Trial, own: interleaved.Portions | None) -> Trial:
        if isinstance(one, Trial):
            return one
        if own is None:
            trial = assess(one.row, one.done, one.rows, one.first, one.last)
            failed = None
        else:
            trial, failed = assess_interleaved(one, own, ratios.get(one.spec.target))
        trial = checked(one, trial, failed)
        noise = disturbance.noise(one, surroundings.server_cores, own_cpu_s)
        return disturbance.witnessed(
            trial, noise, surroundings.before, surroundings.after, alike=own is not None
        )

    return [judged(one, own) for one, own in zip(attempts, counted, strict=True)]


def assess(
    row: TrialRow,
    done: Mapping[str, Any],
    rows: Latencies,
    first: probes.Reading,
    last: probes.Reading,
) -> Trial:
    """Turn what was seen in a trial into its row. Pure.

    `rows` has a line a request: when it was complete, in seconds on CLOCK_MONOTONIC, and its
    latency in microseconds. Counted are those complete between the two readings, so that requests
    and what the server used for them belong to the same stretch of time. The rate ends with the
    load, however late the last reading comes. Where the trial settled only later, rate and times
    are of the steady rest; what a request costs is still of the whole.
    Rows of an open load have a third number (see `workloads.load.schedule.account`).
    """
    row, evidence = _counted(row, done), _evidence(done)
    if wrong := _wrong(row, done):
        return wrong
    answered = rows[~np.isnan(rows[:, 1])]
    begin, end = done["window"]
    closes = min(last.at, end)
    whole = answered[(answered[:, 0] >= first.at) & (answered[:, 0] < last.at)]
    if not (whole[:, 0] < closes).any():
        return void(row, UNANSWERED, evidence)
    settled = _settled(answered, first.at, closes)
    inside = whole[(whole[:, 0] >= settled.at) & (whole[:, 0] < closes), 1]
    measured_s = closes - settled.at
    trial = Trial(
        replace(
            row,
            verdict="ok",
            measured_s=measured_s,
            requests=len(inside),
            requests_per_second=len(inside) / measured_s,
            steady=str(settled.settling.steadiness),
            steady_from_s=settled.settling.from_s,
            discarded_s=settled.at - first.at,
            **_times_ms(inside),
            **usage(first, last, len(whole)),
            generator_cpu_share=done["generator_cpu_s"] / (end - begin),
        ),
        inside,
    )
    if rows.shape[1] == 2:
        return trial
    # Of the whole window, settled or not: a stall in it looks like a start that has to be cut off.
    account = schedule.account(rows, begin, end)
    if not len(account.response_us):
        return void(row, "no request was to be sent in the measured window", evidence)
    if not account.completed:
        return void(row, UNANSWERED, evidence)
    return _from_intended(trial, account, end - begin)


def _load(seen: Seen) -> interleaved.Load | None:
    """Return the requests of an interleaved trial and its slices; None of one that had none."""
    if seen.slices is None:
        return None
    assert isinstance(seen.spec.load, Closed)
    completed, latency_us = seen.rows[:, 0], seen.rows[:, 1]
    return interleaved.Load(
        completed - latency_us / 1e6,
        completed,
        [one.begin_s for one in seen.slices],
        [one.length_s for one in seen.slices],
        seen.spec.load.users,
    )


def _ratios(
    attempts: Sequence[Seen | Trial],
    counted: Sequence[interleaved.Portions | None],
    baseline: str,
) -> dict[str, float]:
    """Return the rate of each interleaved target as a multiple of the baseline's.

    Nothing of the baseline itself, nor of what has no such ratio.
    """
    found = {
        one.spec.target: own
        for one, own in zip(attempts, counted, strict=True)
        if isinstance(one, Seen) and own is not None
    }
    if baseline not in found:
        return {}
    ratios = relative_rates(list(found.values()), list(found).index(baseline))
    return {
        name: ratio
        for name, ratio in zip(found, ratios, strict=True)
        if name != baseline and not np.isnan(ratio)
    }


def assess_interleaved(
    seen: Seen, own: interleaved.Portions, ratio: float | None
) -> tuple[Trial, self_checks.Closed | None]:
    """Turn what was seen in a trial's slices into its row, and what Little's law needs. Pure.

    `own` is what counts of its slices, `ratio` that of its rate to the baseline's, None of the
    baseline itself. Rates and times are those of what counts (`harness.stats.interleaved`). CPU
    time is that of the server's own stretches (see `meter`), where these were read; else, as what
    else the kernel counts, that of the whole window, divided by all its requests.
    """
    row, done = _counted(seen.row, seen.done), seen.done
    if trial := _wrong(row, done):
        return trial, None
    completed, latency_us = seen.rows[:, 0], seen.rows[:, 1]
    begin, end = done["window"]
    whole = int(np.count_nonzero((completed >= begin) & (completed < end)))
    inside = latency_us[own.counted]
    if not len(inside) or not whole or own.seconds <= 0:
        return void(row, UNANSWERED, _evidence(done)), None
    row = replace(
        row,
        verdict="ok",
        measured_s=own.seconds,
        requests=len(inside),
        requests_per_second=own.per_second,
        interleaved_ratio=ratio,
        slices=len(own.begin),
        slice_s=float(np.median([one.length_s for one in seen.slices or ()])),
        discarded_s=own.left_out_s * len(own.begin),
        **_times_ms(inside),
        **usage(seen.first, seen.last, whole) | _metered(seen.metered, completed),
        # What is left out of a slice, the generator has worked for all the same.
        generator_cpu_share=done["generator_cpu_s"] / own.occupied_s,
    )
    return Trial(row, inside), closed_in_slices(seen, own)


def _metered(stretches: Sequence[Stretch], completed: Latencies) -> dict[str, Any]:
    """Return the CPU time of a request in the stretches that were read; nothing where none was."""
    edges = [(one.begin_s, one.end_s) for one in stretches]
    requests = sum(
        int(np.count_nonzero((completed >= begin) & (completed < end))) for begin, end in edges
    )
    if not requests:
        return {}
    cpu_s = sum(one.cpu_s for one in stretches)
    return {"server_cpu_us_per_request": cpu_s / requests * 1e6}


def _counted(row: TrialRow, done: Mapping[str, Any]) -> TrialRow:
    return replace(
        row,
        sent=done["sent"],
        errors=done["errors"],
        answered=done.get("requests_total"),
        verified=done.get("verified"),
    )


def _evidence(done: Mapping[str, Any]) -> str | None:
    return json.dumps(done["evidence"]) if done["evidence"] else None


def _wrong(row: TrialRow, done: Mapping[str, Any]) -> Trial | None:
    """Return the void trial of a load with wrong answers, None where all were right.

    Where processes of a real product abort, the connections that they served break. That is the
    product's way, and no fault of the trial.
    """
    if not done["errors"]:
        return None
    if done["errors"] == done.get("unanswered") and done["errors"] <= (row.aborts or 0):
        return None
    reason = (done["evidence"] or {}).get("reason", "requests without an answer")
    return void(row, f"{done['errors']} wrong answers, first: {reason}", _evidence(done))


@dataclass(frozen=True)
class _Settled:
    """Whether a trial settled, and from when on its requests count, on CLOCK_MONOTONIC."""

    settling: steady_state.Settling
    at: float


def _settled(answered: Latencies, begin: float, end: float) -> _Settled:
    """Find the steady part of a window. The load began when its first request was sent."""
    began = float((answered[:, 0] - answered[:, 1] / 1e6).min())
    settling = steady_state.judge(answered[:, 0], began, end)
    at = max(begin, began + settling.from_s) if settling.from_s else begin
    if not ((answered[:, 0] >= at) & (answered[:, 0] < end)).any():  # it settled on silence
        return _Settled(steady_state.Settling(steady_state.Steadiness.NONE), begin)
    return _Settled(settling, at)


def _from_intended(trial: Trial, account: schedule.Account, seconds: float) -> Trial:
    """Return an open load's trial with times that count from when requests were to be sent.

    Its requests are those that were to be sent within the generator's own window, so many seconds
    long: it alone knows of the ones that never were. The rate is of those completed meanwhile.
    """
    row = replace(
        trial.row,
        measured_s=seconds,
        discarded_s=0.0,
        requests=len(account.service_us),
        requests_per_second=account.completed / seconds,
        offered_per_second=len(account.response_us) / seconds,
        late=account.late,
        late_worst_ms=account.late_worst_ms,
        dropped=account.dropped,
        **_times_ms(account.response_us),
    )
    if is_log(row.load):  # whose rate changes of itself
        unknown = str(steady_state.Steadiness.UNKNOWN)
        row = replace(row, steady=unknown, steady_from_s=None)
    return Trial(row, account.service_us, account.response_us)


def _times_ms(latencies_us: Latencies) -> dict[str, Any]:
    p50, p90, p99 = np.percentile(latencies_us, [50, 90, 99]) / 1000
    return {
        "mean_ms": float(latencies_us.mean()) / 1000,
        "p50_ms": float(p50),
        "p90_ms": float(p90),
        "p99_ms": float(p99),
        "max_ms": float(latencies_us.max()) / 1000,
    }
