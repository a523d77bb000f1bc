"""What a run says of the access log that it replays. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.results.format import count, percent, span

HEADING = "The access log that was replayed"
_LONG_GAP = 0.5
"""A silence of this share of the log: its mean rate then says little."""

Facts = Mapping[str, Any]


def sentences(replay: Facts, seconds: float) -> list[str]:
    """Return what was read and how it is replayed: a paragraph, sentence by sentence.

    `replay` is the member of that name of the plan in run.json, `seconds` the length of a window.
    """
    log = replay["log"]
    return [
        *_read(log),
        *_kept(log),
        *_popularity(log),
        *_pace(replay, log, seconds),
        *_workloads(log),
    ]


def _read(log: Facts) -> Iterator[str]:
    yield (
        f"The access log has {_many(log['lines'], 'line')} ({log['bytes'] / 1e6:,.1f} MB, SHA-256 "
        f"{log['sha256'][:12]}...) and spans {span(log['span_s'])}."
    )
    if log["malformed"]:
        first = "; ".join(f"line {number:,}, {reason}" for number, reason in log["first_malformed"])
        yield f"{_of_lines(log['malformed'])} malformed, the first: {first}."
    if log["out_of_order"]:
        yield f"{_of_lines(log['out_of_order'])} out of order in time, and sorted."


def _kept(log: Facts) -> Iterator[str]:
    hosts = f"{log['tenants']:,} of {_many(log['hosts'], 'host')}"
    if log["tenants"] == log["hosts"]:
        hosts = _many(log["hosts"], "host")
    yield f"Replayed are {_many(log['requests'], 'request')} to {hosts}."
    without = {
        "for static files": log["static"],
        "that --map drops": log["dropped"],
        "to less popular hosts": log["left_out"],
        "without a page": log["without_page"],
    }
    if parts := [f"{number:,} {what}" for what, number in without.items() if number]:
        yield f"Not replayed are {_join(parts)}."
    alike = {
        "another method than GET, HEAD or POST": log["other_methods"],
        "a status of 400 or more": log["failed"],
    }
    if parts := [f"{number:,} had {what}" for what, number in alike.items() if number]:
        yield f"Of all requests, {_join(parts)}; these count as any other."


def _popularity(log: Facts) -> Iterator[str]:
    if log["hosts"] < 2:
        return
    most = -(-log["hosts"] // 100)
    who = "host gets" if most == 1 else f"{most:,} hosts (1%) get"
    fitted = "" if log["exponent"] is None else f"; Zipf's law fits best with {log['exponent']:.2f}"
    yield f"The most popular {who} {percent(log['top_share'])} of the requests{fitted}."


def _pace(replay: Facts, log: Facts, seconds: float) -> Iterator[str]:
    yield (
        f"The log has {count(log['mean_per_second'])} requests a second on average, and "
        f"{log['peak_per_second']:,} in its busiest second; {_speed(replay['speed'])}, that is "
        f"{count(replay['rate'])} a second on average."
    )
    played_s = replay["period_s"] / replay["speed"]
    if played_s > seconds * (1 + 1e-9):
        yield (
            f"A window of {count(seconds)} s is {percent(seconds / played_s)} of the log; each "
            "block draws where it begins, the same for all targets."
        )
    elif played_s < seconds * (1 - 1e-9):
        yield f"The log is over after {count(played_s)} s, and begins anew until the window ends."
    else:
        yield f"Each window of {count(seconds)} s holds the whole log."
    if log["longest_gap_s"] > _LONG_GAP * log["span_s"]:
        gap = percent(log["longest_gap_s"] / log["span_s"])
        yield f"For {gap} of its span the log has no request at all, so its average says little."


def _speed(speed: float) -> str:
    return "at its own speed" if speed == 1 else f"replayed {count(speed)} times as fast"


def _workloads(log: Facts) -> Iterator[str]:
    named = log["workloads"]
    if len(named) == 1:
        yield f"Each request is for the workload {named[0][0]}, whatever its path was."
        return
    parts = [f"{name} {number:,} ({percent(number / log['requests'])})" for name, number in named]
    yield f"By their paths, the requests are for the workloads {_join(parts)}."


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _of_lines(number: int) -> str:
    return f"{number:,} line is" if number == 1 else f"{number:,} lines are"


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"
