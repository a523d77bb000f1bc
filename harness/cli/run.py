"""The command `isobench run`, and what it makes of its options: a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from harness.cli import options, run_slo
from harness.cli import run_options as of_run
from harness.cli.options import Modes, Module, Peers, Tenants, absolute, drawn, split, targets
from harness.errors import IsobenchError
from harness.terminal import Terminal

if TYPE_CHECKING:
    from harness.commands.running.traffic import Traffic
    from harness.plan.extent import Wanted
    from harness.plan.loads import Load, Sweep
    from harness.plan.plan import Plan

OF_HOSTS = ("probe", "key", "generators", "processes", "bind", "master_port")
"""The options that are about a server on another host."""


def run(
    context: typer.Context,
    modes: Modes = None,
    peers: Peers = False,
    module: Module = None,
    workload: of_run.Workload = "hello",
    page: of_run.Page = None,
    mechanisms: of_run.Mechanisms = None,
    load: of_run.Load = "closed:8",
    connection: of_run.Connection = "close,keep-alive",
    blocks: of_run.Blocks = None,
    precision: of_run.Precision = None,
    budget: of_run.Budget = None,
    smallest_effect: of_run.SmallestEffect = "3%",
    seconds: of_run.Seconds = None,
    tenants: Tenants = 10,
    popularity: of_run.Popularity = "uniform",
    replay: of_run.Replay = None,
    replay_speed: of_run.ReplaySpeed = None,
    replay_tenants: of_run.ReplayTenants = "host",
    mapped: of_run.Map = None,
    workers: of_run.Workers = None,
    outstanding: of_run.Outstanding = None,
    code_cache: of_run.CodeCache = True,
    slices: of_run.Slices = None,
    cross_check: of_run.CrossCheck = None,
    client: of_run.Client = None,
    seed: of_run.Seed = None,
    quick: of_run.Quick = False,
    out: of_run.Out = None,
    report: of_run.Report = True,
    resume: of_run.Resume = None,
    target: of_run.Target = None,
    probe: of_run.Probe = 8081,
    key: of_run.Key = None,
    generators: of_run.Generators = 0,
    processes: of_run.Processes = None,
    bind: of_run.Bind = "127.0.0.1",
    master_port: of_run.MasterPort = 5557,
    slo: of_run.Slo = None,
    rate_per_tenant: of_run.RatePerTenant = None,
    otel: of_run.OTel = False,
) -> None:
    """Measure throughput, latency, CPU and memory of each mode; write a results folder."""
    from harness.commands.groundwork.beside_products import Products
    from harness.commands.running import run as session
    from harness.commands.running import traffic
    from harness.plan.loads import parse_load
    from harness.trial.beside.mechanisms import must_be_measurable
    from harness.trial.generators.generator import usual_client

    if resume is not None:
        options.must_not_change(context)
        _resume(resume, otel, report=report)
        return
    given = context.params
    said = options.said(context)
    traffic.must_fit_together(said)
    options.must_go_with(context, "target", OF_HOSTS)
    run_slo.must_have_promise(slo, rate_per_tenant)
    if slo is not None:
        if "connection" in said:
            run_slo.must_be_one(connection)
        run_slo.search(given)
        return
    log = None if replay is None else _read_log(given, by_default="tenants" not in said)
    loads = tuple(dict.fromkeys(parse_load(text) for text in split(load)))
    usual, cautions = usual_client() if client is None else (client, ())
    given = {**given, "client": usual}
    if target is not None:
        _measure_elsewhere(given, loads)
        return
    usual_run = _is_usual(given, log) and not quick
    plan = _plan(given, loads, log)
    if mechanisms:
        must_be_measurable(plan)
    session.start(
        plan,
        modes is not None,
        out,
        Terminal(),
        cautions,
        Products(peers, absolute(module)),
        otel,
        made_of=usual_run if mechanisms is None else mechanisms,
        report=report,
        trace=None if log is None else log.trace,
    )


def _resume(folder: Path, otel: bool, *, report: bool) -> None:
    """Continue what was interrupted in a folder: a search for a promise, or a run."""
    from harness.commands.measuring import slo
    from harness.commands.running import run as session

    if slo.is_of_search(folder):
        slo.resume(folder, Terminal(), report=report)
    else:
        session.resume(folder, Terminal(), otel, report=report)


def _read_log(given: Mapping[str, Any], *, by_default: bool) -> Traffic:
    """Read the access log of --replay, and say what is in it.

    `by_default` says that --tenants was not given, and bounds nothing.
    """
    from harness.commands.running import traffic

    wanted = traffic.Wanted(
        given["replay"],
        split(given["workload"]),
        given["seconds"],
        given["replay_speed"],
        given["replay_tenants"],
        given["mapped"] or (),
        None if by_default else given["tenants"],
        quick=given["quick"],
    )
    Terminal().print("reading the access log", highlight=False)
    log = traffic.read(wanted)
    Terminal().print(" ".join(log.about), highlight=False, markup=False)
    return log


def _measure_elsewhere(given: Mapping[str, Any], loads: Sequence[Load | Sweep]) -> None:
    """Measure the server of --target: its host says what is served, by how many workers."""
    from harness.commands.running import run_remote

    _refuse_beside_target(given)
    processes, generators = given["processes"], given["generators"]
    wanted = run_remote.Wanted(
        url=given["target"],
        probe=given["probe"],
        key=given["key"],
        bind=given["bind"],
        master_port=given["master_port"],
        generators=generators,
        processes=processes if processes is not None else int(not generators),
    )
    hosts, served = run_remote.find(wanted)
    as_served = {
        "modes": served.target.name,
        "workers": served.workers,
        "tenants": len(served.settled.tenants),
    }
    plan = _plan({**given, **as_served, "slices": "off"}, loads, None)
    run_remote.start(plan, hosts, served, given["out"], Terminal())


def _refuse_beside_target(given: Mapping[str, Any]) -> None:
    """Raise IsobenchError for options that mean nothing where the server is on another host."""
    if given["otel"]:
        raise IsobenchError(
            "--otel is not for --target, whose generators may be on other hosts",
            hint="omit --otel",
        )
    if given["peers"] or given["modes"] is not None:
        raise IsobenchError(
            "--target measures the one mode that is served there",
            hint="omit --modes and --peers",
        )


def _plan(given: Mapping[str, Any], loads: Sequence[Load | Sweep], log: Traffic | None) -> Plan:
    """Return the plan that options ask for; a log decides loads and tenants itself."""
    from harness.commands.running import traffic
    from harness.plan import extent, plan
    from harness.plan.loads import workers_for
    from harness.results.comparison import thresholds
    from workloads import catalog

    page = not given["quick"] if given["page"] is None else given["page"]
    names = dict.fromkeys(catalog.find(name).name for name in split(given["workload"]))
    chosen = plan.Plan(
        targets=targets(given["modes"]),
        workloads=tuple(names),
        loads=tuple(loads),
        connections=split(given["connection"]),
        tenants=given["tenants"],
        popularity=given["popularity"],
        workers=workers_for(loads) if given["workers"] is None else given["workers"],
        outstanding=given["outstanding"],
        code_cache=given["code_cache"],
        client=given["client"],
        cross_check=given["cross_check"],
        smallest_effect=thresholds.parse_share(given["smallest_effect"], "--smallest-effect"),
        seed=drawn(given["seed"]),
        page=plan.PAGE if page and _is_usual(given, log) else None,
    )
    if log is not None:
        chosen = replace(
            chosen,
            workloads=(log.workload,),
            loads=(log.load,),
            tenants=log.tenants,
            popularity=traffic.POPULARITY,
        )
    return extent.of(chosen, _extent(given, log), quick=given["quick"])


def _extent(given: Mapping[str, Any], log: Traffic | None) -> Wanted:
    from harness.plan.extent import Wanted
    from harness.plan.stopping import parse_span
    from harness.results.comparison.thresholds import parse_share

    precision, budget, slices = given["precision"], given["budget"], given["slices"]
    return Wanted(
        blocks=given["blocks"],
        seconds=given["seconds"] if log is None else log.seconds,
        precision=None if precision is None else parse_share(precision, "--precision"),
        budget_s=None if budget is None else parse_span(budget, "--budget"),
        slice_s=None if slices in (None, "off") else parse_span(slices, "--slices"),
        alone=slices == "off" or log is not None,
    )


def _is_usual(given: Mapping[str, Any], log: Traffic | None) -> bool:
    """Return whether all modes are measured with the usual workload."""
    from harness.plan.plan import HELLO

    return given["modes"] is None and given["workload"] == HELLO and log is None
