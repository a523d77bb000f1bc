"""What the command `serve` does: one target with temporary tenants, until it is stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from harness.commands.signals import Interrupted
from harness.errors import IsobenchError
from harness.target.run_resources import Belongings
from harness.target.server import Site
from harness.target.sites import settle
from harness.target.targets import Target, choose, server_command
from workloads import catalog, tenants

_STOP_S = 10.0


def serve(name: str, port: int, tenants: int, workers: int, console: Console) -> None:
    """Serve a target in the foreground until a signal ends it. Raises IsobenchError."""
    (target,) = choose([name], peers=True)
    with Belongings() as belongings:
        site = settle(belongings, tenants, None, languages=["python", target.language])
        command, environment = server_command(target)
        # It stops at the end of its control stream, which our own end is, SIGKILL included.
        command += [*site.arguments(target), "--control"]
        command += ["--port", str(port), "--workers", str(workers)]
        if belongings.processes.path is not None:
            command += ["--cgroup", str(belongings.processes.path)]
        with subprocess.Popen(
            command,
            env=environment,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            try:
                word = process.stdout.readline()
                ready = bool(word) and json.loads(word)["ready"]
                if ready:
                    base_url = f"http://127.0.0.1:{json.loads(word)['port']}"
                    _announce(target, base_url, site, console)
                status = process.wait()
            except Interrupted:
                _end(process)
                return
    if status:
        raise IsobenchError(
            f"{target.name} {'stopped serving' if ready else 'cannot be served'}",
            hint="see the server's message above",
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server politely, or after some time by SIGKILL."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _announce(target: Target, base_url: str, site: Site, console: Console) -> None:
    """Print how to send a request to the server, how to load it and how to stop it."""
    manifest = site.sites.parent / "tenants.json"
    script = catalog.find("hello").written_in(target.language).script
    attempt = f"curl -H 'Host: t0001.localhost' {base_url}/{script}"
    settings = f"ISOBENCH_TENANTS={manifest} ISOBENCH_RUNS_AS={target.runs_as}"
    if target.by_client:  # curl cannot send a credential in its packets
        key, uid = site.credential_key, tenants.Manifest.read(manifest).tenants[0].uid
        url = base_url.replace("127.0.0.1", "t0001.localhost")
        attempt = f"{sys.executable} -m workloads.credential --key {key} --uid {uid} {url}/hello.py"
        settings += f" ISOBENCH_CREDENTIAL_KEY={key}"
    load_it = f"load it:  {settings} locust -f {_locustfile()} --host {base_url}\n"
    console.print(
        f"{target.name} ({target.precedent}), on the loopback address only: it runs tenants' code\n"
        f"try it:   {attempt}\n"
        f"{'' if target.is_peer else load_it}"
        "stop it:  Ctrl-C",
        soft_wrap=True,
        highlight=False,
    )


def _locustfile() -> Path:
    return Path(sys.modules["workloads"].__path__[0]) / "locustfile.py"
