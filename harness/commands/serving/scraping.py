"""What `isobench serve --metrics` starts beside a server: the exporter that Prometheus scrapes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from harness import extras
from harness.errors import IsobenchError
from harness.host import fingerprint
from harness.host.surroundings import clean_environment
from harness.metrics.facts import Facts
from harness.target.line_process import Gone, Speaking
from harness.target.run_resources import RunResources
from harness.target.server import Site
from harness.target.targets import Target
from harness.trial.generators.generator import import_path
from workloads import addresses

SEATS: Final = 20
"""How many tenants have series of their own, unless told otherwise."""

_READY_S: Final = 30.0
_STOP_S: Final = 5.0


@dataclass(frozen=True)
class Scraping:
    """Whether metrics are told, and where. `port` None: they are not; 0: at any free port.

    `seats` is how many tenants have series of their own.
    """

    port: int | None = None
    host: str = "127.0.0.1"
    seats: int = SEATS

    def must_be_possible(self, target: Target) -> None:
        """Raise IsobenchError for a real product, or without the package that answers scrapes."""
        if self.port is None:
            return
        if target.is_peer:
            raise IsobenchError(
                f"{target.name} is a real product, which counts nothing for isobench",
                hint="omit --metrics, or serve a mode; Apache has mod_status, php-fpm pm.status",
            )
        extras.load("prometheus_client", "metrics", "prometheus-client")

    def arguments(self, resources: RunResources) -> list[str]:
        """Return what a server has to be told, to count its requests."""
        return [] if self.port is None else ["--metrics", str(_tally(resources))]

    @contextmanager
    def started(
        self,
        resources: RunResources,
        target: Target,
        site: Site,
        served_at: tuple[str, int],
        layout: Mapping[str, Any],
    ) -> Iterator[str]:
        """Answer scrapes in a process of its own; provide the URL, "" where none is wanted.

        Raises IsobenchError.
        """
        if self.port is None:
            yield ""
            return
        facts = Facts(
            file=str(_tally(resources)),
            layout=layout,
            mode=target.name,
            version=fingerprint.own_version(),
            served_at=served_at,
            network=addresses.NETWORK if target.own_addresses else None,
            host=self.host,
            port=self.port,
            seats=self.seats,
            identity=(site.www_uid, site.www_gid) if site.privileged else None,
        )
        exporter = Speaking(
            [sys.executable, "-P", "-m", "harness.metrics.exporter"],
            resources.scratch / "exporter.log",
            environment=clean_environment({"PYTHONPATH": os.pathsep.join(import_path())}),
            cwd="/",
            own_session=True,
        )
        try:
            yield f"http://{_reached(self.host)}:{_port(exporter, facts)}/metrics"
        finally:
            exporter.stop(_STOP_S)


NO_METRICS: Final = Scraping()


def tally_of(ready: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a server that is ready says of the file in which it counts, if it does."""
    layout: Mapping[str, Any] = ready.get("metrics", {})
    return layout


def _tally(resources: RunResources) -> Path:
    return resources.scratch / "tally"


def _reached(host: str) -> str:
    return "127.0.0.1" if host == "0.0.0.0" else host


def _port(exporter: Speaking, facts: Facts) -> int:
    """Tell the exporter its facts; return its port. Raises IsobenchError."""
    try:
        exporter.tell(json.dumps(asdict(facts)))
        answer = exporter.hear(_READY_S)
    except Gone:
        raise IsobenchError(
            f"the exporter of metrics did not start ({exporter.fate()}): {exporter.last_line()}",
            hint="serve without --metrics, and report this",
        ) from None
    if not answer["ready"]:
        raise IsobenchError(answer["reason"], hint=answer["hint"])
    return int(answer["port"])
