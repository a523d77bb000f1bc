"""What the command `serve` does: one target with temporary tenants, until it is stopped."""

from __future__ import annotations

import ipaddress
import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from harness.commands import key as keys
from harness.commands.serving.scraping import NO_METRICS, Scraping, tally_of
from harness.commands.signals import Interrupted
from harness.errors import IsobenchError
from harness.host import fingerprint
from harness.target import remote_probe
from harness.target.run_resources import RunResources
from harness.target.server import Server, Site
from harness.target.sites import settle
from harness.target.targets import Target, choose, server_command
from workloads import catalog
from workloads import tenants as _tenants

LOOPBACK: Final = "127.0.0.1"
_STOP_S = 10.0
_LOOK_S = 0.2


def serve(
    name: str,
    host: str,
    port: int,
    tenants: int,
    workers: int,
    console: Console,
    scraping: Scraping = NO_METRICS,
) -> None:
    """Serve a target in the foreground until a signal ends it. Raises IsobenchError."""
    (target,) = choose([name], peers=True)
    _must_listen_there(target, host)
    scraping.must_be_possible(target)
    with ExitStack() as stack:
        resources = stack.enter_context(RunResources())
        site = settle(resources, tenants, None, languages=["python", target.language])
        command, environment = server_command(target)
        # It stops at the end of its control stream, which our own end is, SIGKILL included.
        command += [*site.arguments(target), "--control"]
        command += [*_at(target, host), "--port", str(port), "--workers", str(workers)]
        command += scraping.arguments(resources)
        if resources.processes.path is not None:
            command += ["--cgroup", str(resources.processes.path)]
        with subprocess.Popen(
            command,
            env=environment,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                facts = _said(process)
                if facts.get("ready", False):
                    base_url = f"http://{_reached(host)}:{facts['port']}"
                    _announce(target, base_url, site, host, console)
                    at = host, facts["port"]
                    there = scraping.started(resources, target, site, at, tally_of(facts))
                    _announce_metrics(stack.enter_context(there), console)
                status = process.wait()
            except Interrupted:
                _end(process)
                return
            except IsobenchError:
                _end(process)
                raise
    if status:
        raise IsobenchError(
            f"{target.name} {'stopped serving' if facts.get('ready') else 'cannot be served'}",
            hint="see the server's message above",
        )


def serve_with_probe(
    name: str,
    host: str,
    port: int,
    tenants: int,
    workers: int,
    probe: int,
    key: Path | None,
    console: Console,
    scraping: Scraping = NO_METRICS,
) -> None:
    """Serve a target, and tell whoever has the key what it uses. Raises IsobenchError.

    The key is made where there is none yet. What the server and scripts write goes to a log.
    """
    (target,) = choose([name], peers=True)
    _must_listen_there(target, host)
    scraping.must_be_possible(target)
    path, secret = keys.read_or_make(key)
    machine = fingerprint.fingerprint()
    with ExitStack() as stack:
        resources = stack.enter_context(RunResources())
        site = settle(resources, tenants, None, languages=["python", target.language])
        processes = resources.processes
        arguments = [*_at(target, host), "--port", str(port), "--workers", str(workers)]
        arguments += scraping.arguments(resources)
        server = stack.enter_context(Server(target, site, processes, arguments))
        settled = _tenants.Manifest.read(site.sites.parent / "tenants.json")
        facts = remote_probe.about(target, settled, workers, machine, fingerprint.own_version())
        answers = {
            "/about": lambda: facts,
            "/reading": lambda: remote_probe.reading(server, processes),
        }
        there = stack.enter_context(remote_probe.serving(host, probe, secret, answers))
        url = f"http://{_reached(host)}:{server.port}"
        _announce(target, url, site, host, console)
        at = host, server.port
        told = scraping.started(resources, target, site, at, server.tally_layout)
        _announce_metrics(stack.enter_context(told), console)
        console.print(
            f"measure it: isobench run --target {url} --probe {there} --key {path}",
            soft_wrap=True,
            highlight=False,
        )
        try:
            while not server.has_ended():
                time.sleep(_LOOK_S)
        except Interrupted:
            return
        server.must_be_there()


def _at(target: Target, host: str) -> list[str]:
    return [] if target.is_peer else ["--host", host]


def _must_listen_there(target: Target, host: str) -> None:
    if target.is_peer and host != LOOPBACK:
        raise IsobenchError(
            f"{target.name} is a real product, which serves on the loopback address only",
            hint="omit --host, or serve a mode",
        )


def _reached(host: str) -> str:
    """Return an address at which a server that is bound to `host` can be reached."""
    return LOOPBACK if host == "0.0.0.0" else host


def _said(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return the line in which a server says that it serves; nothing where it ended before."""
    assert process.stdout is not None
    word = process.stdout.readline()
    facts: dict[str, Any] = json.loads(word) if word else {}
    return facts


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server politely, or after some time by SIGKILL."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _announce(target: Target, base_url: str, site: Site, host: str, console: Console) -> None:
    """Print how to send a request to the server, how to load it and how to stop it."""
    manifest = site.sites.parent / "tenants.json"
    script = catalog.find("hello").written_in(target.language).script
    first = _tenants.Manifest.read(manifest).tenants[0]
    asked_at = base_url.replace(_reached(host), target.host_of(first.uid) or _reached(host))
    attempt = f"curl -H 'Host: t0001.localhost' {asked_at}/{script}"
    settings = f"ISOBENCH_TENANTS={manifest} ISOBENCH_RUNS_AS={target.runs_as}"
    if target.own_addresses:
        settings += " ISOBENCH_OWN_ADDRESSES=true"
    if target.by_client:  # curl cannot send a credential in its packets
        key, uid = site.credential_key, first.uid
        url = base_url.replace("127.0.0.1", "t0001.localhost")
        attempt = f"{sys.executable} -m workloads.credential --key {key} --uid {uid} {url}/hello.py"
        settings += f" ISOBENCH_CREDENTIAL_KEY={key}"
    loopback = ipaddress.ip_address(host).is_loopback
    where = "on the loopback address only" if loopback else f"on {host}, for whoever reaches it"
    load_it = f"load it:  {settings} locust -f {_locustfile()} --host {base_url}\n"
    console.print(
        f"{target.name} ({target.precedent}), {where}: it runs tenants' code\n"
        f"try it:   {attempt}\n"
        f"{'' if target.is_peer else load_it}"
        "stop it:  Ctrl-C",
        soft_wrap=True,
        highlight=False,
    )


def _announce_metrics(url: str, console: Console) -> None:
    if url:
        console.print(f"watch it: {url}", soft_wrap=True, highlight=False)


def _locustfile() -> Path:
    return Path(sys.modules["workloads"].__path__[0]) / "locustfile.py"
