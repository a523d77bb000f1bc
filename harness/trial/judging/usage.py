"""What a server used for each request of a measured window. Pure."""

from __future__ import annotations

from typing import Any

from harness.target import probes


def usage(first: probes.Reading, last: probes.Reading, requests: float) -> dict[str, Any]:
    """Return the columns of a trial's row; `requests` is how many lie between the readings."""
    used = probes.between(first, last)
    return {
        "server_cpu_us_per_request": used.cpu_s / requests * 1e6,
        "server_cpu_source": used.cpu_source,
        "forks_per_request": used.forks / requests,
        "context_switches_per_request": used.context_switches / requests,
        "page_faults_per_request": used.page_faults / requests,
        "steal_share": used.steal_share,
    }
