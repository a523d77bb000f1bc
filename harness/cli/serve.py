"""The options of `isobench serve`, and of `generate`, which loads what another host serves."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import Key
from harness.commands.guide import completion
from harness.plan.limits import MOST_TENANTS, MOST_WORKERS
from harness.terminal import Terminal


def serve(
    mode: Annotated[
        str,
        typer.Argument(
            help="A target, such as dso or cgi:spawn=fork.", autocompletion=completion.modes
        ),
    ],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free port.")
    ] = 8080,
    tenants: Annotated[
        int, typer.Option(metavar="N", min=1, max=MOST_TENANTS, help="Number of tenants.")
    ] = 3,
    workers: Annotated[
        int, typer.Option(metavar="N", min=1, max=MOST_WORKERS, help="Number of workers.")
    ] = 4,
    host: Annotated[
        str, typer.Option(metavar="ADDR", help="Address to listen on; 0.0.0.0: all of them.")
    ] = "127.0.0.1",
    probe: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Port for isobench run --target to query the server's use; 0: any free port.",
        ),
    ] = None,
    key: Key = None,
    metrics: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Port for Prometheus: requests and times by tenant, workers; 0: any free port.",
        ),
    ] = None,
    metrics_host: Annotated[
        str, typer.Option(metavar="ADDR", help="With --metrics: address to listen on.")
    ] = "127.0.0.1",
    metrics_tenants: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="With --metrics: give the busiest N tenants their own series.",
        ),
    ] = 20,
) -> None:
    """Serve temporary tenants until Ctrl-C, on the loopback address unless --host names another."""
    from harness.commands.serving import serve as command
    from harness.commands.serving.scraping import Scraping

    scraping = Scraping(metrics, metrics_host, metrics_tenants)
    if probe is None:
        command.serve(mode, host, port, tenants, workers, Terminal(), scraping)
        return
    command.serve_with_probe(mode, host, port, tenants, workers, probe, key, Terminal(), scraping)


def generate(
    master: Annotated[
        str, typer.Option(metavar="HOST[:PORT]", help="Where isobench run --target runs.")
    ],
    key: Key = None,
    processes: Annotated[
        int, typer.Option(metavar="N", help="Load generators on this host, one per core.")
    ] = 1,
) -> None:
    """Generate load for isobench run --target on another host."""
    from harness.commands.serving import generate as command

    command.start(master, key, processes, Terminal())
