"""The options of `isobench run`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import options
from harness.cli.options import Modes, Module, Peers, Tenants, absolute, drawn, split, targets
from harness.commands.guide import completion
from harness.errors import IsobenchError
from harness.terminal import Terminal

# The headings under which the options stand.
EXTENT, METHOD, RESULTS = "How long", "How it is measured", "Results"
LOG = "Traffic from an access log (docs/replaying.md)"
ELSEWHERE = "A server on another host (docs/several-hosts.md)"
PROMISE = "The highest rate that keeps a promise (docs/capacity.md)"


def run(
    context: typer.Context,
    modes: Modes = None,
    peers: Peers = False,
    module: Module = None,
    workload: Annotated[
        str,
        typer.Option(
            metavar="W,W",
            help="Workloads to request. page:5ms (or any other time): a page that takes this much "
            "CPU time.",
            autocompletion=completion.workloads,
        ),
    ] = "hello",
    page: Annotated[
        bool,
        typer.Option(
            help="With all modes and hello: also measure page:5ms, with a few modes and in five "
            "blocks, to see whether overheads carry over."
        ),
    ] = True,
    mechanisms: Annotated[
        bool | None,
        typer.Option(
            help="Also measure the mechanisms of modes, such as a fork, to explain their costs: "
            "about 70 s. Default: with all modes and hello, but not with --quick.",
        ),
    ] = None,
    load: Annotated[
        str,
        typer.Option(
            metavar="L,L",
            help="closed:N: N users who wait for each response. open:R[:uniform]: R requests a "
            "second. sweep: open loads up to each target's capacity; about 2 min a target, 30 min "
            "for all modes; with --quick --connection close 20 s and 6 min.",
            autocompletion=completion.listed("closed:1", "closed:8", "open:100", "sweep"),
        ),
    ] = "closed:8",
    connection: Annotated[
        str,
        typer.Option(
            metavar="C,C",
            help="Connection handling: close, keep-alive, or both.",
            autocompletion=completion.listed("close", "keep-alive"),
        ),
    ] = "close,keep-alive",
    blocks: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many times to measure each target. Default: as many as --precision needs "
            "and --budget allows.",
            rich_help_panel=EXTENT,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="P%",
            help="Measure until every ratio is known to within P%, such as 3%; twice P% for "
            "targets below 1% of the baseline. Default: 5%, with --quick 15%.",
            rich_help_panel=EXTENT,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Start no block that would exceed this time, such as 10m. Default, without "
            "--precision: 115 s for each workload, load and connection; with --quick 37 s.",
            rich_help_panel=EXTENT,
        ),
    ] = None,
    smallest_effect: Annotated[str, options.smallest_effect("difference", EXTENT)] = "3%",
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Measured time of each target in a block. Default: 0.25; with --slices off 1; "
            "with --replay 5.",
            rich_help_panel=EXTENT,
        ),
    ] = None,
    tenants: Tenants = 10,
    popularity: Annotated[
        str, typer.Option(metavar="P", help="How requests spread over tenants: uniform, or zipf:S.")
    ] = "uniform",
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Replay an access log, plain or gzip, in Apache's format vhost_combined or "
            "combined, instead of --load. Its hosts are the tenants, up to --tenants (default "
            "then: 100). Addresses and query strings are not kept.",
            rich_help_panel=LOG,
        ),
    ] = None,
    replay_speed: Annotated[
        str | None,
        typer.Option(
            metavar="X",
            help="X times as fast as the log, such as 60; or R/s, such as 200/s, for that many "
            "requests a second on average; or fit: the whole log within --seconds. "
            "Default: fit, but at most 200/s.",
            rich_help_panel=LOG,
        ),
    ] = None,
    replay_tenants: Annotated[
        str,
        typer.Option(
            metavar="BY",
            help="What tells tenants apart: host (virtual host), path (first segment), or one "
            "(all are one tenant).",
            autocompletion=completion.one_of("host", "path", "one"),
            rich_help_panel=LOG,
        ),
    ] = "host",
    mapped: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="PATTERN=W",
            help="Workload for paths that match a glob pattern, such as '/shop/*=page:5ms' or "
            "'POST *=upload'; drop leaves them out. May be repeated; the first match counts. "
            "Default: static files are dropped, --workload for the rest.",
            rich_help_panel=LOG,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Workers in each pool. Default: one per user.", rich_help_panel=METHOD
        ),
    ] = None,
    outstanding: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Limit on an open load's requests in flight. "
            "Default: 64; with keep-alive, one per worker.",
            rich_help_panel=METHOD,
        ),
    ] = None,
    code_cache: Annotated[
        bool,
        typer.Option(help="Reuse the compiled code of unchanged scripts.", rich_help_panel=METHOD),
    ] = True,
    slices: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Interleave the targets of a closed load in slices of this length, longer for "
            "slow targets. off: one target after the other. Default: 30ms.",
            rich_help_panel=METHOD,
        ),
    ] = None,
    cross_check: Annotated[
        str | None,
        typer.Option(
            metavar="TOOL",
            help="wrk: repeat each closed load with this tool, 5 s each.",
            rich_help_panel=METHOD,
        ),
    ] = None,
    client: Annotated[
        str | None,
        typer.Option(
            metavar="C",
            help="HTTP client: compiled (in C), lean (in Python), or fasthttp (Locust's own). "
            "Default: compiled; lean without a C compiler.",
            autocompletion=completion.one_of("compiled", "lean", "fasthttp"),
            rich_help_panel=METHOD,
        ),
    ] = None,
    seed: Annotated[int | None, options.seed(heading=METHOD)] = None,
    quick: Annotated[bool, options.quick("About a minute, less precise.", EXTENT)] = False,
    out: Annotated[Path | None, options.new_folder("", RESULTS)] = None,
    report: Annotated[bool, options.report(RESULTS)] = True,
    resume: Annotated[Path | None, options.resume("an interrupted run", RESULTS)] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Measure a server on another host, such as http://10.0.0.1:8080, that isobench "
            "serve --probe PORT runs there.",
            rich_help_panel=ELSEWHERE,
        ),
    ] = None,
    probe: Annotated[
        int,
        typer.Option(
            metavar="PORT", help="With --target: the port of its probe.", rich_help_panel=ELSEWHERE
        ),
    ] = 8081,
    key: Annotated[Path | None, options.key(ELSEWHERE)] = None,
    generators: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="With --target: wait for N processes of isobench generate.",
            rich_help_panel=ELSEWHERE,
        ),
    ] = 0,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --target: load generators on this host. Default: 1, with --generators 0.",
            rich_help_panel=ELSEWHERE,
        ),
    ] = None,
    bind: Annotated[
        str,
        typer.Option(
            metavar="ADDR",
            help="With --generators: where to listen for them.",
            rich_help_panel=ELSEWHERE,
        ),
    ] = "127.0.0.1",
    master_port: Annotated[
        int,
        typer.Option(
            metavar="PORT",
            help="With --target: the port for generators.",
            rich_help_panel=ELSEWHERE,
        ),
    ] = 5557,
    slo: Annotated[
        str | None,
        typer.Option(
            metavar="PROMISE",
            help="Find for each mode the highest open rate that keeps a promise, such as "
            "'p99 < 50ms' or 'p99 < 50ms and errors < 0.1%'.",
            rich_help_panel=PROMISE,
        ),
    ] = None,
    rate_per_tenant: Annotated[
        float | None,
        typer.Option(
            metavar="R",
            help="With --slo: a tenant's requests a second, to tell how many tenants a core "
            "serves.",
            rich_help_panel=PROMISE,
        ),
    ] = None,
    otel: Annotated[
        bool,
        typer.Option(
            "--otel",
            help="Export response times to OpenTelemetry after each trial, as Locust does "
            "(docs/observability.md).",
            rich_help_panel=RESULTS,
        ),
    ] = False,
) -> None:
    """Measure throughput, latency, CPU and memory of each mode; write a results folder."""
    from harness.commands.groundwork.beside_products import Products
    from harness.commands.running import run as session
    from harness.commands.running import traffic
    from harness.plan import extent, stopping
    from harness.plan import plan as matrix
    from harness.plan.loads import parse_load, workers_for
    from harness.results.comparison import thresholds
    from harness.trial.generators.generator import usual_client
    from workloads import catalog

    if resume is not None:
        from harness.commands.measuring import slo as promised

        if promised.is_of_search(resume):
            promised.resume(resume, Terminal(), report=report)
        else:
            session.resume(resume, Terminal(), otel, report=report)
        return
    said = {name for name in context.params if _is_said(context, name)}
    traffic.must_fit_together(said)
    if rate_per_tenant is not None and slo is None:
        raise IsobenchError(
            "--rate-per-tenant goes with --slo", hint="add a promise, such as --slo 'p99 < 50ms'"
        )
    if slo is not None:
        _search(context.params)
        return
    log = None
    if replay is not None:
        by, rules, most = replay_tenants, mapped or (), tenants if "tenants" in said else None
        words = traffic.Wanted(
            replay, split(workload), seconds, replay_speed, by, rules, most, quick=quick
        )
        Terminal().print("reading the access log", highlight=False)
        log = traffic.read(words)
        Terminal().print(" ".join(log.about), highlight=False, markup=False)
    loads = tuple(dict.fromkeys(parse_load(text) for text in split(load)))
    if target is not None:
        from harness.commands.running import run_remote

        if otel:
            raise IsobenchError(
                "--otel is not for --target, whose generators may be on other hosts",
                hint="omit --otel",
            )
        if peers or modes is not None:
            raise IsobenchError(
                "--target measures the one mode that is served there",
                hint="omit --modes and --peers",
            )
        here = processes if processes is not None else int(not generators)
        named = run_remote.Wanted(target, probe, key, bind, master_port, generators, here)
        hosts, served = run_remote.find(named)
        workers, tenants = served.workers, len(served.settled.tenants)
        modes, slices, page = served.target.name, "off", False
    hello = workload == matrix.HELLO and log is None
    usual, cautions = usual_client() if client is None else (client, ())
    names = tuple(dict.fromkeys(catalog.find(name).name for name in split(workload)))
    chosen = matrix.Plan(
        targets=targets(modes),
        workloads=names if log is None else (log.workload,),
        loads=loads if log is None else (log.load,),
        connections=split(connection),
        tenants=tenants if log is None else log.tenants,
        popularity=popularity if log is None else traffic.POPULARITY,
        workers=workers_for(loads) if workers is None else workers,
        outstanding=outstanding,
        code_cache=code_cache,
        client=usual,
        cross_check=cross_check,
        smallest_effect=thresholds.parse_share(smallest_effect, "--smallest-effect"),
        seed=drawn(seed),
        page=matrix.PAGE if page and modes is None and hello else None,
    )
    wanted = extent.Wanted(
        blocks=blocks,
        seconds=seconds if log is None else log.seconds,
        precision=None if precision is None else thresholds.parse_share(precision, "--precision"),
        budget_s=None if budget is None else stopping.parse_span(budget, "--budget"),
        slice_s=None if slices in (None, "off") else stopping.parse_span(slices, "--slices"),
        alone=slices == "off" or log is not None,
    )
    plan = extent.of(chosen, wanted, quick=quick)
    if target is not None:
        run_remote.start(plan, hosts, served, out, Terminal())
        return
    products = Products(peers, absolute(module))
    usual_run = modes is None and hello and not quick
    made_of = usual_run if mechanisms is None else mechanisms
    session.start(
        plan,
        modes is not None,
        out,
        Terminal(),
        cautions,
        products,
        otel,
        made_of=made_of,
        report=report,
        trace=None if log is None else log.trace,
    )


def _search(given: Mapping[str, Any]) -> None:
    """Find the highest rate that keeps a promise: what `run --slo` does, given its parameters."""
    from harness.commands.measuring import slo
    from harness.plan import stopping
    from harness.slo import effort
    from harness.trial.generators.generator import usual_client
    from workloads import catalog

    _refuse_beside_slo(given)
    client, budget, connection = given["client"], given["budget"], given["connection"]
    usual, cautions = usual_client() if client is None else (client, ())
    as_given = (
        *("rate_per_tenant", "tenants", "popularity", "workers", "outstanding", "code_cache"),
        *("blocks", "seconds", "quick"),
    )
    study = effort.of(
        given["slo"],
        **{name: given[name] for name in as_given},
        workload=catalog.find(given["workload"].strip()).name,
        # Both are what other runs measure unless told otherwise; here it is one.
        connection=connection if len(split(connection)) == 1 else "close",
        client=usual,
        budget_s=None if budget is None else stopping.parse_span(budget, "--budget"),
        seed=drawn(given["seed"]),
    )
    modes = given["modes"]
    slo.start(
        study,
        targets(modes),
        modes is not None,
        given["peers"],
        given["out"],
        Terminal(),
        cautions,
        report=given["report"],
    )


def _refuse_beside_slo(given: Mapping[str, Any]) -> None:
    """Raise IsobenchError for options that mean nothing where a promise is looked at."""
    without_use = {
        "--target": given["target"] is not None,
        "--otel": given["otel"],
        "--replay": given["replay"] is not None,
        "--module": bool(given["module"]),
        "--load": given["load"] != "closed:8",
        "--precision": given["precision"] is not None,
        "--slices": given["slices"] is not None,
        "--cross-check": given["cross_check"] is not None,
        "--mechanisms": bool(given["mechanisms"]),
        "several of --workload": len(split(given["workload"])) > 1,
    }
    if wrong := " and ".join(name for name, is_given in without_use.items() if is_given):
        raise IsobenchError(
            f"--slo chooses its loads itself, one mode at a time: {wrong} cannot be used with it",
            hint=f"omit {wrong}",
        )


def _is_said(context: typer.Context, name: str) -> bool:
    """Return whether the value of a parameter is not its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"
