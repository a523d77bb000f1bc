"""The command `isobench`."""

from __future__ import annotations

import errno
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from harness.commands.arguments import given
from harness.commands.signals import Interrupted, hear_of_children, interruptible
from harness.errors import IsobenchError, of_system
from harness.host import fingerprint, surroundings, user_namespace
from harness.terminal import BROKEN_PIPE, Terminal, abandon_output, named_errors, printable
from workloads.errors import WorkloadError


class Recorded(TyperCommand):
    """A command whose arguments, defaults included, are written into run.json."""

    def invoke(self, ctx: Any) -> Any:
        """Carry the command out."""
        with given(ctx.params):
            return super().invoke(ctx)


app = typer.Typer(
    name="isobench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _show_version(wanted: bool) -> None:
    """Print the version and end, if that was asked for."""
    if wanted:
        Terminal().print(f"isobench {fingerprint.own_version()}", highlight=False)
        raise typer.Exit


Modes = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="Targets, such as dso,cgi:spawn=fork. Default: all modes."),
]


Peers = Annotated[
    bool,
    typer.Option(
        "--peers",
        help="Also measure the real products that these modes re-enact, where installed.",
    ),
]
Module = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE", help="An Apache module that Debian does not package, such as mod_ruid2.so."
    ),
]


Key = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The key that the hosts share; serve makes it."),
]


@app.callback()
def isobench(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Measure what each isolation mode of a multi-tenant web server costs."""


@app.command(cls=Recorded)
def run(
    modes: Modes = None,
    peers: Peers = False,
    module: Module = None,
    workload: Annotated[
        str,
        typer.Option(
            metavar="W,W",
            help="Workloads to request; page:5ms, or any other time, is a page that takes so much "
            "CPU time.",
        ),
    ] = "hello",
    page: Annotated[
        bool,
        typer.Option(
            help="With all modes and hello: also measure page:5ms, with a few modes and in five "
            "blocks, to see whether overheads carry over."
        ),
    ] = True,
    load: Annotated[
        str,
        typer.Option(
            metavar="L,L",
            help="closed:N: N users who wait for each response. open:R[:uniform]: R requests a "
            "second. sweep: open loads up to each target's capacity; about 2 min a target, 30 min "
            "for all modes; with --quick --connection close 20 s and 6 min.",
        ),
    ] = "closed:8",
    connection: Annotated[
        str, typer.Option(metavar="C,C", help="Connection handling: close, keep-alive, or both.")
    ] = "close,keep-alive",
    blocks: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many times to measure each target. Default: as many as --precision needs "
            "and --budget allows.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="P%",
            help="Measure until every ratio is known to within P%, such as 3%; twice P% for "
            "targets below 1% of the baseline. Default: 5%, with --quick 15%.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Start no block that would exceed this time, such as 10m. Default, without "
            "--precision: 135 s for each workload, load and connection; with --quick 37 s.",
        ),
    ] = None,
    smallest_effect: Annotated[
        str, typer.Option(metavar="P%", help="Treat a smaller difference as none.")
    ] = "3%",
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Measured time of each target in a block. Default: 0.45; with --slices off 1.",
        ),
    ] = None,
    tenants: Annotated[int, typer.Option(metavar="N", help="Number of tenants.")] = 10,
    popularity: Annotated[
        str, typer.Option(metavar="P", help="How requests spread over tenants: uniform, or zipf:S.")
    ] = "uniform",
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Workers in each pool. Default: one per user.")
    ] = None,
    outstanding: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Limit on an open load's requests in flight. "
            "Default: 64; with keep-alive, one per worker.",
        ),
    ] = None,
    code_cache: Annotated[
        bool, typer.Option(help="Reuse the compiled code of unchanged scripts.")
    ] = True,
    slices: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Interleave the targets of a closed load in slices of this length, longer for "
            "slow targets. off: one target after the other. Default: 30ms.",
        ),
    ] = None,
    cross_check: Annotated[
        str | None,
        typer.Option(metavar="TOOL", help="wrk: repeat each closed load with this tool, 5 s each."),
    ] = None,
    client: Annotated[
        str | None,
        typer.Option(
            metavar="C",
            help="HTTP client: compiled (in C), lean (in Python), or fasthttp (Locust's own). "
            "Default: compiled; lean without a C compiler.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of every random choice.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="About a minute, less precise.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: results/<run-id>.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Continue an interrupted run.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Measure a server on another host, such as http://10.0.0.1:8080, that isobench "
            "serve --probe PORT runs there (docs/several-hosts.md).",
        ),
    ] = None,
    probe: Annotated[
        int, typer.Option(metavar="PORT", help="With --target: the port of its probe.")
    ] = 8081,
    key: Key = None,
    generators: Annotated[
        int, typer.Option(metavar="N", help="With --target: wait for N isobench generate.")
    ] = 0,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --target: load generators on this host. Default: 1, with --generators 0.",
        ),
    ] = None,
    bind: Annotated[
        str, typer.Option(metavar="ADDR", help="With --generators: where to listen for them.")
    ] = "127.0.0.1",
    master_port: Annotated[
        int, typer.Option(metavar="PORT", help="With --target: the port for generators.")
    ] = 5557,
) -> None:
    """Measure throughput, latency, CPU and memory of each mode; write a results folder."""
    from harness.commands import run as session
    from harness.plan import extent, stopping
    from harness.plan import plan as matrix
    from harness.results import thresholds
    from harness.trial.generator import usual_client
    from workloads import catalog

    if resume is not None:
        session.resume(resume, Terminal())
        return
    loads = tuple(dict.fromkeys(matrix.parse_load(text) for text in _split(load)))
    if target is not None:
        from harness.commands import run_remote

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
    usual, cautions = usual_client() if client is None else (client, ())
    chosen = matrix.Plan(
        targets=session.every_target() if modes is None else _split(modes),
        workloads=tuple(dict.fromkeys(catalog.find(name).name for name in _split(workload))),
        loads=loads,
        connections=_split(connection),
        tenants=tenants,
        popularity=popularity,
        workers=matrix.workers_for(loads) if workers is None else workers,
        outstanding=outstanding,
        code_cache=code_cache,
        client=usual,
        cross_check=cross_check,
        smallest_effect=thresholds.parse_share(smallest_effect, "--smallest-effect"),
        seed=secrets.randbelow(2**31) if seed is None else seed,
        page=matrix.PAGE if page and modes is None and workload == matrix.HELLO else None,
    )
    wanted = extent.Wanted(
        blocks=blocks,
        seconds=seconds,
        precision=None if precision is None else thresholds.parse_share(precision, "--precision"),
        budget_s=None if budget is None else stopping.parse_span(budget, "--budget"),
        slice_s=None if slices in (None, "off") else stopping.parse_span(slices, "--slices"),
        alone=slices == "off",
    )
    plan = extent.of(chosen, wanted, quick=quick)
    if target is not None:
        run_remote.start(plan, hosts, served, out, Terminal())
        return
    products = session.Products(peers, tuple(path.resolve() for path in module or ()))
    session.start(plan, modes is not None, out, Terminal(), cautions, products)


@app.command(cls=Recorded)
def costs(
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of every random choice.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="About 20 seconds, less precise.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A new folder, or that of an earlier run, to extend its report. "
            "Default: results/costs-<run-id>.",
        ),
    ] = None,
) -> None:
    """Measure what processes and interpreters cost on their own, without a server."""
    from harness.commands import costs as command
    from harness.costs import effort

    chosen = secrets.randbelow(2**31) if seed is None else seed
    command.start(effort.QUICK if quick else effort.USUAL, chosen, out, Terminal())


@app.command(cls=Recorded)
def profile(
    modes: Modes = None,
    workload: Annotated[str, typer.Option(metavar="W", help="Workload to request.")] = "hello",
    tenants: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of tenants, requested in rotation.")
    ] = 10,
    requests: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=10, help="Requests to each target; fewer if it is slow. Default: 300."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of every random choice.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="About a minute, less precise.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A new folder, or that of an earlier run, to extend its report. "
            "Default: results/profile-<run-id>.",
        ),
    ] = None,
) -> None:
    """Show where the time of a request goes in each mode: phases, system calls, traces."""
    from harness.commands import profile as profiling
    from harness.commands import run as session
    from harness.profile import profiler
    from harness.trial import stamping_overhead

    usual = profiler.QUICK if quick else profiler.Procedure()
    procedure = replace(
        usual,
        workload=workload,
        tenants=tenants,
        requests=usual.requests if requests is None else requests,
        seed=secrets.randbelow(2**31) if seed is None else seed,
    )
    comparison = stamping_overhead.QUICK if quick else stamping_overhead.Comparison()
    names = session.every_target() if modes is None else _split(modes)
    profiling.start(procedure, comparison, names, modes is not None, out, Terminal())


@app.command()
def serve(
    mode: Annotated[str, typer.Argument(help="A target, such as dso or cgi:spawn=fork.")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free port.")
    ] = 8080,
    tenants: Annotated[int, typer.Option(metavar="N", help="Number of tenants.")] = 3,
    workers: Annotated[int, typer.Option(metavar="N", help="Number of workers.")] = 4,
    host: Annotated[
        str, typer.Option(metavar="ADDR", help="Address to listen on; 0.0.0.0: all of them.")
    ] = "127.0.0.1",
    probe: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="For isobench run --target: tell there what the server uses; 0: any free port.",
        ),
    ] = None,
    key: Key = None,
) -> None:
    """Serve temporary tenants until Ctrl-C, on the loopback address unless told otherwise."""
    from harness.commands import serve as command

    if probe is None:
        command.serve(mode, host, port, tenants, workers, Terminal())
        return
    command.serve_with_probe(mode, host, port, tenants, workers, probe, key, Terminal())


@app.command()
def generate(
    master: Annotated[
        str, typer.Option(metavar="HOST[:PORT]", help="Where isobench run --target runs.")
    ],
    key: Key = None,
    processes: Annotated[
        int, typer.Option(metavar="N", help="Load generators here, each on a core of its own.")
    ] = 1,
) -> None:
    """Generate load for isobench run --target on another host."""
    from harness.commands import generate as command

    command.start(master, key, processes, Terminal())


@app.command()
def doctor(
    modes: Modes = None,
    module: Module = None,
    watch: Annotated[
        float,
        typer.Option(
            metavar="S", min=0, max=600, help="Watch the host's speed for S seconds; 0: not at all."
        ),
    ] = 10,
) -> None:
    """Show which modes this host can run, what the others need, and what harms measurements."""
    from harness.commands import doctor as command

    modules = [path.resolve() for path in module or ()]
    command.start(None if modes is None else _split(modes), modules, watch, Terminal())


@app.command(cls=Recorded)
def selftest(
    quick: Annotated[
        bool, typer.Option("--quick", help="About a minute: fewer comparisons, less certain.")
    ] = False,
    disturb: Annotated[
        bool,
        typer.Option(
            "--disturb", help="Meanwhile take half of the server's core in bursts of 0.1 to 2 s."
        ),
    ] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of every random choice.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: results/selftest-<run-id>.")
    ] = None,
) -> None:
    """Test the harness itself: false alarms between equal targets, and known differences found."""
    from harness.commands import selftest
    from harness.trial import selftest_verdict

    usual = selftest_verdict.QUICK if quick else selftest_verdict.Procedure()
    procedure = replace(usual, disturbed=disturb)
    chosen = secrets.randbelow(2**31) if seed is None else seed
    selftest.start(procedure, chosen, out, Terminal())


@app.command(cls=Recorded)
def attack(
    modes: Modes = None,
    peers: Peers = False,
    module: Module = None,
    attacks: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Attacks, or families of attacks. Default: all."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Three contrasting modes only, less than a minute.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of the order of attacks.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A new folder, or that of an earlier run, to extend its report. "
            "Default: results/<run-id>.",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Continue interrupted attacks.")
    ] = None,
) -> None:
    """Run every attack against every mode, and show what each mode stops.

    With --peers, against the real products beside them as well.
    """
    from harness.commands import attack as attack_run
    from harness.commands import run as session

    if resume is not None:
        attack_run.resume(resume)
        return
    names = attack_run.QUICK_TARGETS if quick else session.every_target()
    attack_run.start(
        names if modes is None else _split(modes),
        modes is not None,
        () if attacks is None else _split(attacks),
        secrets.randbelow(2**31) if seed is None else seed,
        out,
        session.Products(peers, tuple(path.resolve() for path in module or ())),
    )


@app.command(cls=Recorded)
def neighbour(
    modes: Modes = None,
    noise: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="flood, cpu, memory, forks, disk, slow. Default: all of them."
        ),
    ] = None,
    limits: Annotated[
        str,
        typer.Option(
            metavar="off|on|both",
            help="Per-tenant limits, by cgroup where the host delegates it, and by rlimits.",
        ),
    ] = "both",
    rate: Annotated[
        float,
        typer.Option(
            metavar="R", help="The quiet tenant's requests a second; less where that is too many."
        ),
    ] = 100.0,
    workers: Annotated[int, typer.Option(metavar="N", help="Number of workers.")] = 4,
    blocks: Annotated[
        int | None, typer.Option(metavar="N", help="How many times to measure. Default: 3.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(metavar="S", help="Length of each noise in a block.")
    ] = 0.5,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of every random choice.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Three contrasting modes only, about a minute.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A new folder, or that of an earlier run, to extend its report. "
            "Default: results/neighbour-<run-id>.",
        ),
    ] = None,
) -> None:
    """Measure what one tenant's flood, computing, memory, forks and the like do to another."""
    from harness.commands import neighbour as command
    from harness.commands import run as session
    from harness.neighbour import noises
    from harness.neighbour.effort import Effort

    names = command.QUICK_TARGETS if quick else session.every_target()
    command.start(
        Effort(
            blocks=(2 if quick else 3) if blocks is None else blocks,
            seconds=seconds,
            rate=rate,
            workers=workers,
        ),
        names if modes is None else _split(modes),
        modes is not None,
        noises.choose(() if noise is None else _split(noise)),
        limits,
        secrets.randbelow(2**31) if seed is None else seed,
        out,
        Terminal(),
    )


@app.command(cls=Recorded)
def density(
    modes: Modes = None,
    peers: Peers = False,
    tenants: Annotated[
        str | None,
        typer.Option(
            metavar="N,N",
            help="Numbers of tenants, up to 10000. Default: 1,10,100,1000; with --quick 1,10,100.",
        ),
    ] = None,
    popularity: Annotated[
        str,
        typer.Option(metavar="P,P", help="How requests spread over tenants: uniform, zipf:S."),
    ] = "uniform,zipf:1",
    seconds: Annotated[
        float | None,
        typer.Option(metavar="S", min=0.1, max=60, help="Measured time of each load. Default: 1."),
    ] = None,
    cold: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=1000,
            help="Tenants that cold starts are measured with; 0: no cold starts. Default: 60; with "
            "--quick 20.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Measure nothing more after this time; what is left out is named. "
            "Default: 10m; with --quick 150s.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer tenants, less precise.")] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of every random choice.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A new folder, or that of an earlier run, to extend its report. "
            "Default: results/density-<run-id>.",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Continue an interrupted study.")
    ] = None,
) -> None:
    """Measure throughput, memory and cold starts against the number of tenants."""
    from harness.commands import density as command
    from harness.commands import run as session
    from harness.density import procedure as plan
    from harness.plan import stopping

    if resume is not None:
        command.resume(resume, Terminal())
        return
    usual = plan.QUICK if quick else plan.Procedure()
    procedure = replace(
        usual,
        tenants=usual.tenants if tenants is None else plan.parse_tenants(tenants),
        popularities=_split(popularity),
        seconds=usual.seconds if seconds is None else seconds,
        cold=usual.cold if cold is None else cold,
        budget_s=usual.budget_s if budget is None else stopping.parse_span(budget, "--budget"),
        seed=secrets.randbelow(2**31) if seed is None else seed,
    )
    names = session.every_target() if modes is None else _split(modes)
    command.start(procedure, names, modes is not None, peers, out, Terminal())


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
    against: Annotated[
        Path | None,
        typer.Option(metavar="BASE", help="An earlier run to set beside it, as compare does."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare even runs made on different machines.")
    ] = False,
) -> None:
    """Regenerate the report of a results folder."""
    from harness.commands import report as command

    command.start(folder, against, force=force)


@app.command()
def compare(
    base: Annotated[
        Path, typer.Argument(metavar="BASE", help="Results folder from before the change.")
    ],
    new: Annotated[
        Path, typer.Argument(metavar="NEW", help="Results folder from after the change.")
    ],
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BOUND",
            help="Exit 1 if the change exceeds this with confidence, such as "
            "'requests_per_second < -5%' or 'dso: p99_ms > 10%'. May be repeated.",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="M,M", help="Metrics, named as in summary.csv. Default: the five main ones."
        ),
    ] = None,
    smallest_effect: Annotated[
        str, typer.Option(metavar="P%", help="Treat a smaller change as none.")
    ] = "3%",
    force: Annotated[
        bool, typer.Option("--force", help="Compare even runs made on different machines.")
    ] = False,
    form: Annotated[
        str,
        typer.Option("--format", metavar="F", help="Output format: table, markdown, csv or junit."),
    ] = "table",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to FILE instead of the terminal.")
    ] = None,
) -> None:
    """Compare two runs; with --fail-if, exit 1 if NEW is worse than BASE with confidence."""
    from harness.commands import compare as command

    metrics = None if metric is None else _split(metric)
    command.start(base, new, fail_if or (), metrics, smallest_effect, force, form, out)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
    form: Annotated[
        str, typer.Option("--format", metavar="F", help="Output format: pyperf.")
    ] = "pyperf",
    metric: Annotated[
        str, typer.Option(metavar="M", help="Metric to export; a rate becomes its inverse, a time.")
    ] = "requests_per_second",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to FILE instead of the terminal.")
    ] = None,
) -> None:
    """Write a run in another tool's format: for pyperf stats and pyperf compare_to."""
    from harness.commands import export as command

    command.start(folder, form, metric, out)


@app.command()
def bundle(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Default: isobench-<run-id>.tar.gz."),
    ] = None,
) -> None:
    """Write a run as one archive that others can check and repeat."""
    from harness.commands import bundle as command

    command.start(folder, out)


@app.command(cls=Recorded)
def replay(
    archive: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What isobench bundle wrote.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A new folder. Default: results/replay-<run-id>."),
    ] = None,
) -> None:
    """Repeat the run of a bundle here, and set it beside the original."""
    from harness.commands import replay as command

    command.start(archive, out, Terminal())


def _split(text: str) -> tuple[str, ...]:
    """Return the different words of a list, in their order."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


_PRIVILEGED = (
    "run", "attack", "costs", "profile", "serve", "doctor", "selftest", "density", "neighbour",
    "replay",
)  # fmt: skip


def main() -> int:
    """Run the command line; return the exit code (0 done, 1 a check failed, 2 wrong usage)."""
    hear_of_children()
    try:
        with interruptible():
            surroundings.settle()
            # Before the arguments are parsed, since this may start the program anew.
            if sys.argv[1:2] in ([name] for name in _PRIVILEGED):
                user_namespace.gain()
            return _carried_out()
    except (IsobenchError, WorkloadError) as error:
        return _refused(error)
    except BrokenPipeError:
        abandon_output()
        return BROKEN_PIPE
    except OSError as error:
        return _refused(of_system(error))
    except RuntimeError as error:
        if "can't start new thread" not in str(error):  # what `threading` makes of EAGAIN
            raise
        return _refused(of_system(BlockingIOError(errno.EAGAIN, str(error)), "a thread"))
    except Interrupted as interrupted:
        return 128 + interrupted.number


def _carried_out() -> int:
    """Carry out the command, and write what it said; return the exit code."""
    try:
        app()
    except SystemExit as end:  # what typer ends with, after its own message about wrong usage
        return end.code if isinstance(end.code, int) else 0
    finally:
        if sys.stdout is not None:
            with named_errors():
                sys.stdout.flush()
    return 0


def _refused(error: IsobenchError | WorkloadError) -> int:
    """Say what went wrong and what to do about it; return the exit code."""
    print(printable(f"error: {error}", keep="\n"), file=sys.stderr)
    if error.hint:
        print(printable(f"hint: {error.hint}", keep="\n"), file=sys.stderr)
    return getattr(error, "exit_code", 2)
