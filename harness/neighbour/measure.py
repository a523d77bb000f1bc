"""Measures a quiet tenant beside a noisy one on real servers.

A series is one server: first a window in which the quiet tenant is alone, then one with each noise.
The quiet tenant's load is open, so what it would have sent while nobody answers counts; each of its
answers is verified. A noise begins after the load, and what was to be sent from then on counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from harness.errors import IsobenchError
from harness.host.cores import Cores
from harness.neighbour import limits
from harness.neighbour.effort import Effort, Series
from harness.neighbour.noise_source import Made, NoiseSource, NoiseSourceFailed
from harness.neighbour.noises import ALONE, EVERY, Noise
from harness.plan.loads import Closed, Load, Open
from harness.plan.plan import Plan, Spec
from harness.results.rows import NeighbourRow
from harness.stats.histogram import Histogram
from harness.target.run_resources import RunResources
from harness.target.server import Server, ServerFailed, free_port
from harness.target.sites import settle
from harness.target.targets import Target, python
from harness.trial.composite import CompositeContext
from harness.trial.generators.generator import Generator, LoadFailed
from harness.trial.prepare import Preparation, Prepared
from workloads import tenants
from workloads.load import schedule

WARMUP_S: Final = 0.1
WARM_S: Final = 0.03
"""The warm-up of a server's later windows."""
DRAIN_S: Final = 0.5
"""How long after a window answers are waited for; the noise goes on meanwhile."""
PILOT_S: Final = 0.25
_WORKLOAD: Final = "hello"
_CONNECTION: Final = "close"
_SCRIPT_SECONDS: Final = "5"


class Neighbourhood(CompositeContext):
    """A context: on entering there are two tenants, a load generator and a source of noise."""

    def __init__(
        self,
        resources: RunResources,
        effort: Effort,
        targets: Sequence[Target],
        cores: Cores,
        seed: int,
    ) -> None:
        self._resources = resources
        self._effort = effort
        self._targets = {target.name: target for target in targets}
        self._cores = cores
        self._seed = seed
        self._rates: dict[str, float] = {}

    def _enter(self, stack: ExitStack) -> None:
        self.site = settle(self._resources, 2, self._cores)
        settled = tenants.Manifest.read(self.site.sites.parent / "tenants.json")
        quiet, self._noisy = settled.tenants
        _install(settled, self.site.privileged)
        plan = Plan(
            targets=tuple(self._targets),
            loads=(Open(self._effort.rate),),
            connections=(_CONNECTION,),
            tenants=1,
            workers=self._effort.workers,
            seed=self._seed,
        )
        key = self.site.credential_key
        alone = replace(settled, tenants=(quiet,))
        self._preparation = Preparation(plan, list(self._targets.values()), alone, key)
        scratch = self._resources.scratch
        cpus = self._cores.generator
        self._generator = stack.enter_context(Generator(cpus, scratch / "generator.log"))
        self._source = stack.enter_context(NoiseSource(cpus, scratch / "noise.log"))
        self._limited = limits.Limited.by_version_2(
            self._resources.another_group(1), self._resources.processes
        )
        if self._limited is None:
            made = self._resources.version_1_groups(tuple(limits.OF_VERSION_1))
            self._limited = limits.Limited.by_version_1(made) if made else None

    @property
    def means(self) -> tuple[str, ...]:
        """What can limit tenants on this host."""
        if self._limited is not None:
            return (limits.RLIMITS, limits.CGROUP)
        return (limits.RLIMITS,)

    @property
    def generator_versions(self) -> dict[str, str]:
        """The versions of what generates the load."""
        return self._generator.versions

    def measure(self, series: Series) -> Iterator[NeighbourRow]:
        """Yield a row for each window. One that fails is void; the others get a new server."""
        left: list[Noise | None] = [None, *series.noises]
        while left:
            try:
                with ExitStack() as stack:
                    server = stack.enter_context(self._server(series))
                    stack.enter_context(self._sorting(series))
                    while left:
                        row = self._row(series, left[0])
                        yield self._window(series, server, row, left[0])
                        left.pop(0)
            except (LoadFailed, ServerFailed) as error:
                row = self._row(series, left.pop(0))
                reason = " ".join(str(error).split())
                yield replace(row, verdict=f"void: {reason}")
            except NoiseSourceFailed as error:
                raise IsobenchError(
                    f"the process that makes the noise failed: {error}",
                    hint="check whether memory ran out (dmesg), then start again",
                ) from error

    def _row(self, series: Series, noise: Noise | None) -> NeighbourRow:
        return NeighbourRow(
            target=series.target,
            runs_as=self._targets[series.target].runs_as,
            noise=ALONE if noise is None else noise.name,
            limits=series.limits,
            block=series.block,
            position=0 if noise is None else 1 + series.noises.index(noise),
            verdict="void: not made",
        )

    def _server(self, series: Series) -> Server:
        target = self._targets[series.target]
        setup = self._prepared(series, Closed(1)).setup
        port = free_port(setup.ports)
        arguments = ["--port", str(port), "--workers", str(self._effort.workers)]
        arguments += ["--script-seconds", _SCRIPT_SECONDS]
        limited = series.limits != limits.NONE
        return Server(
            *(target, self.site, self._resources.processes, arguments, setup.environment()),
            launcher=limits.launcher() if limited else (),
        )

    def _sorting(self, series: Series) -> limits.Sorting | nullcontext[None]:
        if series.limits != limits.CGROUP:
            return nullcontext()
        assert self._limited is not None
        self._limited.impose()
        group = self._resources.processes
        return limits.Sorting(self._noisy.uid, lambda: group.pids() or (), self._limited)

    def _prepared(self, series: Series, load: Load) -> Prepared:
        spec = Spec(series.block, 1, series.target, _WORKLOAD, load, _CONNECTION)
        return self._preparation.prepare(spec)

    def _command(self, series: Series, load: Load, server: Server) -> dict[str, Any]:
        output = self._resources.scratch / "trial.npy"
        return self._prepared(series, load).addressed(server.host, server.port, output)

    def _window(
        self, series: Series, server: Server, row: NeighbourRow, noise: Noise | None
    ) -> NeighbourRow:
        """Measure one window. Raises LoadFailed, ServerFailed and NoiseSourceFailed."""
        rate = self._rate(series, server)
        command = self._command(series, Open(rate), server)
        command |= {
            "trial": f"{row.block}/{row.target}/{row.limits}/{row.noise}",
            "seed": command["seed"] * 100 + row.position,
            "warmup_s": WARM_S if row.position else WARMUP_S,
            "measure_s": self._effort.seconds_for(rate),
            "drain_s": DRAIN_S,
        }
        begins: list[float] = []

        def on_event(event: str, at: float) -> None:
            if event == "measuring":
                if noise is not None:
                    self._make(noise, series, server)
                begins.append(at if noise is None else time.monotonic())

        try:
            done = self._generator.trial(command, on_event)
        except LoadFailed:
            server.must_be_there()
            raise
        finally:
            made = self._source.stop() if noise is not None else Made()
        if server.has_ended():
            server.must_be_there()
        return _counted(replace(row, offered_per_second=rate), done, begins[0], made)

    def _make(self, noise: Noise, series: Series, server: Server) -> None:
        target = self._targets[series.target]
        key = self.site.credential_key if target.by_client else None
        host = target.host_of(self._noisy.uid)
        self._source.start(noise, server, self._effort.workers, self._noisy, key, host)

    def _rate(self, series: Series, server: Server) -> float:
        """Return the quiet tenant's rate on a target, found on its first server."""
        if series.target not in self._rates:
            command = self._command(series, Closed(2), server)
            command |= {"trial": "pilot", "warmup_s": WARMUP_S, "measure_s": PILOT_S}
            done = self._generator.trial(command, lambda _event, _at: None)
            Path(done["file"]).unlink()
            begin, end = done["window"]
            self._rates[series.target] = self._effort.rate_for(done["requests"] / (end - begin))
        return self._rates[series.target]


def _install(settled: tenants.Manifest, privileged: bool) -> None:
    """Give the noisy tenant its scripts."""
    _, noisy = settled.tenants
    for noise in EVERY:
        if noise.source is not None:
            tenants.install(
                noise.source,
                noisy,
                www=settled.www,
                interpreter=f"{python()} -IS",
                own=privileged,
            )


def _counted(row: NeighbourRow, done: dict[str, Any], begin: float, made: Made) -> NeighbourRow:
    """Return a window's row with what the generator recorded from `begin` on."""
    file = Path(done["file"])
    rows = np.load(file)
    file.unlink()
    _, end = done["window"]
    account = schedule.account(rows, begin, end)
    if not len(account.response_us):
        return replace(row, verdict="void: no request was to be sent in the window")
    p50, p99 = np.percentile(account.response_us, [50, 99]) / 1000
    evidence = done["evidence"] or {}
    return replace(
        row,
        measured_s=end - begin,
        requests=len(account.response_us),
        p50_ms=float(p50),
        p99_ms=float(p99),
        errors=done["errors"],
        dropped=max(0, account.dropped - done["unanswered"]),
        first_error=evidence.get("reason"),
        noise_done=made.done,
        noise_refused=made.refused,
        first_refusal=made.first_refusal or None,
        generator_waited_share=done["generator_waited_s"] / (end - done["window"][0]),
        hdr=Histogram.of(account.response_us).to_text(),
        verdict="ok",
    )
