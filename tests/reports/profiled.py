"""Tables of profiles as `isobench profile` writes them, from made-up numbers."""

import math

import pandas as pd

_PHASES = {
    "dso": {"accept": 40, "open script": 25, "script": 10, "delivery": 25},
    "ruid2": {
        "accept": 40, "credential change": 45, "open script": 30, "script": 10, "delivery": 25,
    },
    "suid2": {"accept": 200, "open script": 700, "script": 100, "delivery": 500},
}  # fmt: skip
_AFTERWARDS = {"ruid2": {"switch back": 30}, "suid2": {"exit": 400, "respawn": 500}}


def _rows(target: str) -> list[dict[str, object]]:
    total = sum(_PHASES[target].values())
    parts = {"request": _PHASES[target], "afterwards": _AFTERWARDS.get(target, {})}
    every = [(part, phase, us) for part, own in parts.items() for phase, us in own.items()]
    return [
        {
            "target": target,
            "phase": phase,
            "order": order,
            "median_us": float(us),
            "p90_us": 2.0 * us,
            "share": us / total,
            "part": part,
        }
        for order, (part, phase, us) in enumerate(every, 1)
    ]


def _profile(target: str) -> dict[str, object]:
    known = target == "dso"
    return {
        "target": target,
        "workload": "hello",
        "tenants": 10,
        "requests": 300,
        "disordered": 0,
        "service_us": float(sum(_PHASES[target].values())),
        "accounted": 1.0,
        "missing": "",
        "no_kernel_view": "",
        "page_faults": 2.5,
        "context_switches": 1.0,
        "forks": 0.0,
        "calls_counted_by": "tracefs",
        "stamping_cost": 0.012 if known else math.nan,
        "stamping_cost_low": 0.004 if known else math.nan,
        "stamping_cost_high": 0.02 if known else math.nan,
    }


PHASES = pd.DataFrame([row for target in _PHASES for row in _rows(target)])
PROFILES = pd.DataFrame([_profile(target) for target in _PHASES])
CALLS = pd.DataFrame(
    [
        {"target": "dso", "call": "openat", "per_request": 1.0},
        {"target": "dso", "call": "close", "per_request": 2.0},
        {"target": "ruid2", "call": "capset", "per_request": 4.0},
    ]
)
