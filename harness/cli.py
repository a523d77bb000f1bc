"""The command `isobench`."""

from __future__ import annotations

import errno
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperCommand

from harness.commands.arguments import given
from harness.commands.signals import Interrupted, hear_of_children, interruptible
from harness.errors import IsobenchError, of_system
from harness.host import surroundings, user_namespace
from harness.terminal import BROKEN_PIPE, Terminal, abandon_output, named_errors, printable, styled
from workloads.errors import WorkloadError


class Recorded(TyperCommand):
    """A command whose arguments, defaults included, are written into run.json."""

    def invoke(self, ctx: Any) -> Any:
        """Carry the command out."""
        with given(ctx.params):
            return super().invoke(ctx)


app = typer.Typer(
    name="isobench",
    help="Measure what each isolation mode of a multi-tenant web server costs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Modes = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="Targets, such as dso,cgi:spawn=fork. Default: all modes."),
]


@app.command(cls=Recorded)
def run(
    modes: Modes = None,
    workload: Annotated[str, typer.Option(metavar="W,W", help="What is asked for.")] = "hello",
    load: Annotated[
        str,
        typer.Option(
            metavar="L,L",
            help="closed:N: N users. open:R[:uniform]: R requests a second. "
            "sweep: open loads up to what each target can bear; with --quick --connection close "
            "about 20 s a target, 6 min for all 16 modes; else 2 min and 30 min.",
        ),
    ] = "closed:8",
    connection: Annotated[
        str, typer.Option(metavar="C,C", help="close, keep-alive, or both.")
    ] = "close,keep-alive",
    blocks: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Measure each target so often, in blocks. Default: as many as --precision takes "
            "and --budget allows.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="P%",
            help="Go on until every ratio is known to within it, such as 3%; twice as much for "
            "targets below 1% of the baseline. Default: 5%, with --quick 15%.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Begin no block that would not fit in it, such as 10m. Default: without "
            "--precision 135 s for each workload, load and connection; with --quick 37 s.",
        ),
    ] = None,
    smallest_effect: Annotated[
        str, typer.Option(metavar="P%", help="A smaller difference counts as none.")
    ] = "3%",
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Measured time of a target in a block. Default: 0.6; with --slices off 1.",
        ),
    ] = None,
    tenants: Annotated[int, typer.Option(metavar="N", help="How many tenants there are.")] = 10,
    popularity: Annotated[
        str, typer.Option(metavar="P", help="Which tenants are asked for: uniform, or zipf:S.")
    ] = "uniform",
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Size of each pool. Default: as many as users.")
    ] = None,
    outstanding: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Bound of an open load's requests on their way at once. "
            "Default: 64, with keep-alive as many as there are workers.",
        ),
    ] = None,
    code_cache: Annotated[
        bool, typer.Option(help="Reuse the compiled code of an unchanged script.")
    ] = True,
    slices: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Interleave the targets of a closed load in slices of this length, longer for "
            "slow ones. off: one target after the other. Default: 20ms.",
        ),
    ] = None,
    cross_check: Annotated[
        str | None,
        typer.Option(metavar="TOOL", help="wrk: repeat each closed load with it, 5 s each."),
    ] = None,
    client: Annotated[
        str, typer.Option(metavar="C", help="lean, or fasthttp: Locust's own, for reference.")
    ] = "lean",
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Of every random choice.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A minute or so, less sure.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: results/<run-id>.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Go on with an interrupted run.")
    ] = None,
) -> None:
    """Measure throughput, latency, CPU and memory of each mode; write a results folder."""
    from harness.commands import run as session
    from harness.plan import extent, stopping
    from harness.plan import plan as matrix
    from harness.results import thresholds

    if resume is not None:
        session.resume(resume, Terminal())
        return
    loads = tuple(dict.fromkeys(matrix.parse_load(text) for text in _split(load)))
    chosen = matrix.Plan(
        targets=session.every_target() if modes is None else _split(modes),
        workloads=_split(workload),
        loads=loads,
        connections=_split(connection),
        tenants=tenants,
        popularity=popularity,
        workers=matrix.workers_for(loads) if workers is None else workers,
        outstanding=outstanding,
        code_cache=code_cache,
        client=client,
        cross_check=cross_check,
        smallest_effect=thresholds.parse_share(smallest_effect, "--smallest-effect"),
        seed=secrets.randbelow(2**31) if seed is None else seed,
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
    session.start(plan, modes is not None, out, Terminal())


@app.command(cls=Recorded)
def costs(
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Of every random choice.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="20 seconds, less sure.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder of an earlier run, for one report, or a new one. "
            "Default: results/costs-<run-id>.",
        ),
    ] = None,
) -> None:
    """Measure what processes and interpreters cost by themselves, without a server."""
    from harness.commands import costs as command
    from harness.costs import effort

    chosen = secrets.randbelow(2**31) if seed is None else seed
    command.start(effort.QUICK if quick else effort.USUAL, chosen, out, Terminal())


@app.command(cls=Recorded)
def profile(
    modes: Modes = None,
    workload: Annotated[str, typer.Option(metavar="W", help="What is asked for.")] = "hello",
    tenants: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many tenants take turns.")
    ] = 10,
    requests: Annotated[
        int | None,
        typer.Option(metavar="N", min=10, help="Of each target, unless it is slow. Default: 300."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Of every random choice.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Half a minute, less sure.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="An earlier run's folder, or a new one: results/profile-<run-id>."
        ),
    ] = None,
) -> None:
    """Find out where the time of a request goes in each mode: phases, system calls, traces."""
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
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8080,
    tenants: Annotated[int, typer.Option(metavar="N")] = 3,
    workers: Annotated[int, typer.Option(metavar="N")] = 4,
) -> None:
    """Serve tenants made for it until Ctrl-C, on this host's loopback address."""
    from harness.commands import run as session

    session.serve(mode, port, tenants, workers, Terminal())


@app.command()
def doctor(modes: Modes = None) -> None:
    """Say which modes this host can run, what the others lack, and what harms a measurement."""
    from harness.commands.doctor import diagnose
    from harness.target import targets

    chosen = targets.available() if modes is None else targets.choose(_split(modes))
    found = diagnose(chosen)
    console = Terminal()
    console.print(styled(("identities", "bold"), f"  {found.identities}\n"))
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for heading in ("mode", "", "precedent, or what is missing and how to get it"):
        table.add_column(heading, overflow="fold")
    for target in found.usable:
        table.add_row(target.name, styled(("available", "green")), target.precedent)
    for refusal in found.refused:
        words = styled(f"{refusal.reason}\n", ("remedy:", "bold"), f" {refusal.hint}")
        table.add_row(refusal.target.name, styled(("missing", "yellow")), words)
    console.print(table)
    for heading, cautions in (
        ("harms a measurement here", found.cautions),
        ("worth knowing", found.remarks),
    ):
        if cautions:
            console.print(styled("\n", (heading, "bold")))
        lines = Table.grid(padding=(0, 1))
        for caution in cautions:
            words = styled(f"{caution.about}\n", ("remedy:", "bold"), f" {caution.advice}")
            lines.add_row("-", words)
        console.print(lines)


@app.command(cls=Recorded)
def selftest(
    quick: Annotated[
        bool, typer.Option("--quick", help="About a minute: fewer comparisons, less sure.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Of every random choice.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: results/selftest-<run-id>.")
    ] = None,
) -> None:
    """Test the harness itself: false alarms between equals, and planted differences found."""
    from harness.commands import selftest
    from harness.trial import selftest_verdict

    procedure = selftest_verdict.QUICK if quick else selftest_verdict.Procedure()
    chosen = secrets.randbelow(2**31) if seed is None else seed
    selftest.start(procedure, chosen, out, Terminal())


@app.command(cls=Recorded)
def attack(
    modes: Modes = None,
    attacks: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Attacks or families of them. Default: all."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Three telling modes only, less than a minute.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Of the order of attacks.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Default: results/<run-id>. That of an earlier run is added to."
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Go on with attacks that were interrupted.")
    ] = None,
) -> None:
    """Make every attack on every mode, and show what each really stops."""
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
    )


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
) -> None:
    """Make the report of a results folder again."""
    import reports

    Terminal().print(f"report: {reports.make(folder)}", soft_wrap=True)


@app.command()
def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="The results folder before.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The results folder after.")],
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BOUND",
            help="Exit 1 when the change is surely beyond, such as 'requests_per_second < -5%' "
            "or 'dso: p99_ms > 10%'. May be repeated.",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(metavar="M,M", help="Names as in summary.csv. Default: the five main ones."),
    ] = None,
    smallest_effect: Annotated[
        str, typer.Option(metavar="P%", help="A smaller change counts as none.")
    ] = "3%",
    force: Annotated[
        bool, typer.Option("--force", help="Compare runs of two machines all the same.")
    ] = False,
    form: Annotated[
        str, typer.Option("--format", metavar="F", help="table, markdown, csv or junit.")
    ] = "table",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there, not to the terminal.")
    ] = None,
) -> None:
    """Set two runs side by side; with --fail-if, exit 1 when NEW is surely worse than BASE."""
    import reports
    from harness.results import folder as results
    from harness.results import thresholds
    from harness.results.compare import COMPARABLE, METRICS, choose_metrics, refuse_broken
    from harness.results.compare import compare as set_beside
    from reports.comparison.table import render

    writers = reports.comparison_formats()
    if form not in writers:
        raise IsobenchError(f"there is no format {form!r}", hint=f"choose of {', '.join(writers)}")
    limits = [thresholds.parse_bound(text, COMPARABLE) for text in fail_if or ()]
    effect = thresholds.parse_share(smallest_effect, "--smallest-effect")
    metrics = METRICS if metric is None else choose_metrics(_split(metric))
    columns = tuple(dict.fromkeys([*metrics, *(limit.metric for limit in limits)]))
    before, after = (results.ResultsFolder.open(path).measured(columns) for path in (base, new))
    comparison = set_beside(
        before, after, metrics=columns, bounds=limits, smallest_effect=effect, force=force
    )
    if form == "table" and out is None:
        console = Terminal()
        console.print(render(comparison, console.width))
    else:
        _deliver(writers[form](comparison), out)
    refuse_broken(comparison)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
    form: Annotated[str, typer.Option("--format", metavar="F", help="pyperf.")] = "pyperf",
    metric: Annotated[
        str, typer.Option(metavar="M", help="A rate is exported as its inverse, a time.")
    ] = "requests_per_second",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there, not to the terminal.")
    ] = None,
) -> None:
    """Write a run as another tool reads it: for pyperf stats and pyperf compare_to."""
    from harness.results.folder import ResultsFolder
    from harness.results.pyperf import pyperf_json

    if form != "pyperf":
        raise IsobenchError(f"there is no format {form!r} to export to", hint="choose pyperf")
    _deliver(pyperf_json(ResultsFolder.open(folder), metric), out)


def _deliver(text: str, out: Path | None) -> None:
    """Write text to a file, or to where the output goes."""
    if out is None:
        with named_errors():
            sys.stdout.write(text)
            sys.stdout.flush()
        return
    try:
        # Not by replacing the file: it may be /dev/stdout or a pipe.
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise IsobenchError(
            f"cannot write {out}: {error.strerror}", hint="name another file with --out"
        ) from error
    print(printable(f"written: {out}"), file=sys.stderr)


def _split(text: str) -> tuple[str, ...]:
    """Return the different words of a list, in their order."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


_PRIVILEGED = ("run", "attack", "costs", "profile", "serve", "doctor", "selftest")


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
