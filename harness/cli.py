"""The command `isobench`."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness import privilege
from harness.errors import IsobenchError
from harness.interruption import Interrupted, interruptible
from workloads.errors import WorkloadError

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
WARMUP = 0.3
QUICK_BLOCKS, QUICK_SECONDS, QUICK_WARMUP = 3, 0.2, 0.1


@app.command()
def run(
    modes: Modes = None,
    workload: Annotated[str, typer.Option(metavar="W,W", help="What is asked for.")] = "hello",
    load: Annotated[str, typer.Option(metavar="L,L", help="closed:N: N users.")] = "closed:8",
    connection: Annotated[
        str, typer.Option(metavar="C,C", help="close, keep-alive, or both.")
    ] = "close,keep-alive",
    blocks: Annotated[
        int, typer.Option(metavar="N", help="How often each target is measured.")
    ] = 5,
    seconds: Annotated[float, typer.Option(metavar="S", help="Measured time of a trial.")] = 1.0,
    tenants: Annotated[int, typer.Option(metavar="N", help="How many tenants there are.")] = 10,
    popularity: Annotated[
        str, typer.Option(metavar="P", help="Which tenants are asked for: uniform, or zipf:S.")
    ] = "uniform",
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Size of each pool. Default: as many as users.")
    ] = None,
    code_cache: Annotated[
        bool, typer.Option(help="Reuse the compiled code of an unchanged script.")
    ] = True,
    client: Annotated[
        str, typer.Option(metavar="C", help="lean, or fasthttp: Locust's own, for reference.")
    ] = "lean",
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of every random choice.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="About a minute, less sure.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: results/<run-id>.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Go on with an interrupted run.")
    ] = None,
) -> None:
    """Measure throughput, latency, CPU and memory of each mode; write a results folder."""
    from harness import matrix, session

    if resume is not None:
        session.resume(resume, Console())
        return
    loads = tuple(matrix.parse_load(text) for text in _split(load))
    plan = matrix.Plan(
        targets=session.every_target() if modes is None else _split(modes),
        workloads=_split(workload),
        loads=loads,
        connections=_split(connection),
        blocks=QUICK_BLOCKS if quick else blocks,
        seconds=QUICK_SECONDS if quick else seconds,
        warmup_s=QUICK_WARMUP if quick else WARMUP,
        tenants=tenants,
        popularity=popularity,
        workers=max((load.users for load in loads), default=1) if workers is None else workers,
        code_cache=code_cache,
        client=client,
        seed=secrets.randbelow(2**31) if seed is None else seed,
    )
    session.start(plan, modes is not None, out, Console())


@app.command()
def serve(
    mode: Annotated[str, typer.Argument(help="A target, such as dso or cgi:spawn=fork.")],
    port: Annotated[int, typer.Option(help="0: any free one.")] = 8080,
    tenants: Annotated[int, typer.Option(metavar="N")] = 3,
    workers: Annotated[int, typer.Option(metavar="N")] = 4,
) -> None:
    """Serve tenants made for it until Ctrl-C, on this host's loopback address."""
    from harness import session

    session.serve(mode, port, tenants, workers, Console())


@app.command()
def doctor(modes: Modes = None) -> None:
    """Say which modes this host can run, what the others lack, and what harms a measurement."""
    from harness import targets
    from harness.doctor import diagnose

    chosen = targets.available() if modes is None else targets.choose(_split(modes))
    found = diagnose(chosen)
    console = Console()
    console.print(f"[bold]identities[/]  {escape(found.identities)}\n")
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for heading in ("mode", "", "precedent, or what is missing and how to get it"):
        table.add_column(heading, overflow="fold")
    for target in found.usable:
        table.add_row(escape(target.name), "[green]available[/]", escape(target.precedent))
    for refusal in found.refused:
        words = f"{escape(refusal.reason)}\n[bold]remedy:[/] {escape(refusal.hint)}"
        table.add_row(escape(refusal.target.name), "[yellow]missing[/]", words)
    console.print(table)
    if found.cautions:
        console.print("\n[bold]harms a measurement here[/]")
    for caution in found.cautions:
        console.print(f"- {escape(caution.about)}\n  [bold]remedy:[/] {escape(caution.advice)}")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
) -> None:
    """Make the report of a results folder again."""
    import reports

    Console().print(f"report: {reports.make(folder)}", soft_wrap=True, highlight=False)


def _split(text: str) -> tuple[str, ...]:
    """Return the different words of a list, in their order."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def main() -> int:
    """Run the command line; return the exit code (0 done, 1 a check failed, 2 wrong usage)."""
    try:
        with interruptible():
            # Before the arguments are parsed, since this may start the program anew.
            if sys.argv[1:2] in (["run"], ["serve"], ["doctor"]):
                privilege.gain(sys.argv[1:])
            app()
    except SystemExit as end:  # what typer ends with, after its own message about wrong usage
        return end.code if isinstance(end.code, int) else 0
    except (IsobenchError, WorkloadError) as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return getattr(error, "exit_code", 2)
    except Interrupted as interrupted:
        return 128 + interrupted.number
    return 0
