"""Whether a trial's own counts contradict each other, and Little's law. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.plan.loads import Closed
from harness.results.rows import TrialRow
from harness.stats import interleaved, self_checks
from harness.target.targets import PEER
from harness.trial.outcome import Seen, Trial, void


def checked(seen: Seen, trial: Trial, closed: self_checks.Closed | None) -> Trial:
    """Return a trial with the result of its self-checks; void, where its counts contradict. Pure.

    `closed` is what Little's law needs to know of it, None to have it read off the trial's row. A
    trial that is void already is not looked at.
    """
    row, done = trial.row, seen.done
    if row.verdict != "ok" or (row.served is None and row.kind != PEER):
        return trial
    if wrong := "; ".join(self_checks.miscounts(_counts(seen, row.served))):
        bare = replace(
            seen.row,
            sent=row.sent,
            errors=row.errors,
            answered=row.answered,
            verified=row.verified,
            self_checks=wrong,
        )
        return void(bare, f"a self-check failed: {wrong}", None)
    load = seen.spec.load
    failed = ""
    if isinstance(load, Closed):
        failed = self_checks.little(closed or _closed(row, done, load.users))
    return replace(trial, row=replace(row, self_checks=failed or self_checks.PASSED))


def least_served(asked: Sequence[Mapping[str, Any]]) -> int:
    """Return how many requests a server must have counted after these loads."""
    return sum(self_checks.least_served(one["asked_first"], one["requests_total"]) for one in asked)


def _counts(seen: Seen, served: int | None) -> self_checks.Counts:
    loads = [*seen.earlier, seen.done]
    again = [one["retries"] for one in loads]
    verified = [one["verified"] for one in loads]
    return self_checks.Counts(
        served=served,
        asked_first=sum(one["asked_first"] for one in loads),
        answered=sum(one["requests_total"] for one in loads),
        sent=sum(one["sent"] for one in loads),
        sent_again=None if None in again else sum(again),
        verified=None if None in verified else sum(verified),
        wrong=sum(int(one["errors"]) for one in seen.earlier),
    )


def _closed(row: TrialRow, done: Mapping[str, Any], users: int) -> self_checks.Closed:
    assert row.requests_per_second is not None
    assert row.mean_ms is not None
    assert row.max_ms is not None
    assert row.measured_s is not None
    return self_checks.Closed(
        users=users,
        per_second=row.requests_per_second,
        mean_latency_s=row.mean_ms / 1000,
        longest_s=row.max_ms / 1000,
        client_s=_client_s(done),
        window_s=row.measured_s,
    )


def closed_in_slices(seen: Seen, own: interleaved.Portions) -> self_checks.Closed:
    """Return what Little's law needs: of all that was sent in slices, until the last completion."""
    assert isinstance(seen.spec.load, Closed)
    latency_us = seen.rows[own.whole, 1]
    return self_checks.Closed(
        users=seen.spec.load.users,
        per_second=len(latency_us) / own.occupied_s,
        mean_latency_s=float(latency_us.mean()) / 1e6,
        longest_s=0.0,  # no latency is cut at an edge
        client_s=_client_s(seen.done),
        window_s=own.occupied_s,
        sending_share=own.sending_s / own.occupied_s,
    )


def _client_s(done: Mapping[str, Any]) -> float:
    """Return for how long a user rested between two requests; at most, where it is not measured."""
    if (rest_s := done.get("rest_s")) is not None:
        return float(rest_s)
    used_s = float(done["generator_cpu_s"]) + float(done["generator_waited_s"])
    return used_s / max(1, int(done["requests"]))
