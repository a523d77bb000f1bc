"""What the command `run --target URL` does: a server on one host, load from others."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from harness.commands import key as keys
from harness.commands.groundwork.folder import Ground, Host, argv, new_manifest, new_run_id
from harness.commands.groundwork.names import check_names
from harness.commands.resolving import resolve
from harness.commands.running.run import conclude
from harness.errors import IsobenchError
from harness.host import fingerprint
from harness.plan.loads import Sweep
from harness.plan.plan import Plan
from harness.progress import Display
from harness.results.folder import ResultsFolder
from harness.target.remote_probe import RemoteProbe, Served
from harness.target.run_resources import RunResources
from harness.trial import runner
from harness.trial.remote import Hosts, RemoteBench


@dataclass(frozen=True)
class Wanted:
    """What the user has named: the server's URL and its probe's port, the key, who generates."""

    url: str
    probe: int
    key: Path | None
    bind: str
    master_port: int
    generators: int
    processes: int


def find(wanted: Wanted) -> tuple[Hosts, Served]:
    """Ask the server's host what it serves. Raises IsobenchError."""
    if wanted.processes < 0 or wanted.generators < 0 or not wanted.processes + wanted.generators:
        raise IsobenchError(
            "no load generators: --processes and --generators are both 0",
            hint="give --processes N for this host, --generators N for others",
        )
    path, key = keys.read(wanted.key)
    host, port = _address(wanted.url)
    probe = RemoteProbe(host, wanted.probe, key)
    served = probe.about()
    own = fingerprint.own_version()
    if served.isobench != own:
        raise IsobenchError(
            f"the server's host has isobench {served.isobench}, and this one {own}",
            hint="install the same version of isobench on all hosts",
        )
    if served.target.by_client:
        raise IsobenchError(
            f"{served.target.name} needs its clients' identity, which no other host can prove",
            hint="measure it on its own host, without --target",
        )
    hosts = Hosts(
        *(host, port, probe, path, wanted.bind, wanted.master_port),
        *(wanted.generators, wanted.processes),
    )
    return hosts, served


def start(plan: Plan, hosts: Hosts, served: Served, out: Path | None, console: Console) -> None:
    """Measure what a plan asks for, into a new results folder, and report. Raises IsobenchError."""
    _refuse_what_is_local(plan)
    check_names(plan)
    run_id = new_run_id()
    path = out or Path("results") / run_id
    ResultsFolder.must_be_free(path)
    host = Host.examine()
    with ExitStack() as stack:
        resources = stack.enter_context(RunResources())
        bench = stack.enter_context(
            RemoteBench(hosts, served, plan, resources.scratch, fingerprint.own_version())
        )
        manifest = new_manifest(
            run_id, Ground((served.target,), (), None, host), plan.seed, plan.to_json()
        )
        manifest = replace(
            manifest,
            machine=served.machine,
            versions={**manifest.versions, **bench.generator_versions},
            also={
                "hosts": {
                    "argv": list(argv()),
                    "seed": plan.seed,
                    "server": f"{hosts.host}:{hosts.port}",
                    "generators": [one["host"] for one in bench.generators],
                    "master": dict(host.fingerprint),
                }
            },
        )
        folder = stack.enter_context(ResultsFolder.create(path, manifest))
        console.print(f"{len(bench.generators)} load generators", highlight=False)
        left = None if plan.open_ended else len(runner.remaining(plan, folder))
        with Display(console, left) as display:
            runner.carry_out(plan, bench, folder, display)
        runner.conclude(plan, folder)
    conclude(path, console)


def _refuse_what_is_local(plan: Plan) -> None:
    if plan.cross_check is not None:
        raise IsobenchError(
            "the cross-check needs a server on this host", hint="omit --cross-check, or --target"
        )
    if any(isinstance(load, Sweep) for load in plan.loads):
        raise IsobenchError(
            "a sweep needs a server on this host",
            hint="give rates of your own, such as --load open:100,open:500",
        )


def _address(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # brackets that are not closed, a port that is no number or too large
        host, port = None, None
    if not host or not port or parts.scheme != "http":
        raise IsobenchError(f"{url!r} names no server", hint="write http://HOST:PORT")
    return resolve(host), port
