"""The options of the commands that read results: show, compare, export, bundle, replay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.options import split
from harness.terminal import Terminal

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")]
Base = Annotated[
    Path, typer.Argument(metavar="BASE", help="Results folder from before the change.")
]
New = Annotated[Path, typer.Argument(metavar="NEW", help="Results folder from after the change.")]
Force = Annotated[
    bool, typer.Option("--force", help="Compare even runs made on different machines.")
]
ToFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write to FILE instead of the terminal.")
]


def report(
    folder: Folder,
    against: Annotated[
        Path | None,
        typer.Option(metavar="BASE", help="An earlier run to compare it with, as compare does."),
    ] = None,
    force: Force = False,
) -> None:
    """Regenerate the report of a results folder."""
    from harness.commands.reading import report as command

    command.start(folder, against, force=force)


def compare(
    base: Base,
    new: New,
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
    smallest_effect: Annotated[str, options.smallest_effect()] = "3%",
    force: Force = False,
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="F", help="Output format: table, markdown, csv, junit or github."
        ),
    ] = "table",
    out: ToFile = None,
) -> None:
    """Compare two runs; with --fail-if, exit 1 if NEW is worse than BASE with confidence."""
    from harness.commands.reading import compare as command

    metrics = _metrics(metric)
    command.start(base, new, fail_if or (), metrics, smallest_effect, force, form, out)


def confirm(
    base: Base,
    new: New,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(metavar="BOUND", help="As in compare: what fails is measured again."),
    ] = None,
    base_version: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The isobench that measured BASE: an executable or a checkout. Without it only "
            "NEW is measured again.",
        ),
    ] = None,
    new_version: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The isobench that measured NEW. Default: this one."),
    ] = None,
    rounds: Annotated[
        int, typer.Option(metavar="N", min=3, max=100, help="How often each is measured again.")
    ] = 6,
    smallest_effect: Annotated[str, options.smallest_effect()] = "3%",
    selftest: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A selftest, for the rate of false alarms. Default: the latest beside NEW.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even if the runs were made on different machines.")
    ] = False,
    runs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the new runs go. Default: beside NEW."),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="F", help="Output format: text, markdown or github.")
    ] = "text",
    out: ToFile = None,
) -> None:
    """Compare two runs, and measure again what fails a bound before it fails the build.

    Exit code 1: confirmed; 3: the host is too erratic for a verdict; 0: nothing failed, or what
    failed is not confirmed.
    """
    from harness.commands.reading import confirm as command
    from harness.commands.reading import versions

    wanted = command.Wanted(
        base=versions.of_path(base_version, "--base-version") if base_version else None,
        new=versions.of_path(new_version, "--new-version") if new_version else versions.this(),
        rounds=rounds,
        runs=runs,
        force=force,
    )
    command.start(base, new, fail_if or (), smallest_effect, wanted, selftest, form, out)


def history(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...", help="Folders that hold results folders, such as results/."
        ),
    ],
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="M,M",
            help="Metrics, as in compare. Default: capacity per core and requests per second, each "
            "relative to the baseline.",
        ),
    ] = None,
    series: Annotated[
        str,
        typer.Option(
            metavar="GLOB,GLOB", help="Only these series, such as 'dso/*' or '*/hello/closed:8/*'."
        ),
    ] = "*",
    form: Annotated[
        str,
        typer.Option("--format", metavar="F", help="table (and a page), or csv, for Apache Otava."),
    ] = "table",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where to write. Default: DIR/history.html; with --format csv the terminal.",
        ),
    ] = None,
) -> None:
    """Show all runs below folders in one page: metrics over time, changes of level marked."""
    from harness.commands.reading import history as command

    metrics = _metrics(metric)
    command.start(folders, metrics, split(series), form, out)


def export(
    folder: Folder,
    form: Annotated[
        str, typer.Option("--format", metavar="F", help="Output format: pyperf.")
    ] = "pyperf",
    metric: Annotated[
        str, typer.Option(metavar="M", help="Metric to export; a rate becomes its inverse, a time.")
    ] = "requests_per_second",
    out: ToFile = None,
) -> None:
    """Write a run in another tool's format: for pyperf stats and pyperf compare_to."""
    from harness.commands.reading import export as command

    command.start(folder, form, metric, out)


def bundle(
    folder: Folder,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The archive. Default: isobench-<run-id>.tar.gz."),
    ] = None,
) -> None:
    """Write a run as one archive that others can check and repeat."""
    from harness.commands.reading import bundle as command

    command.start(folder, out)


def replay(
    archive: Annotated[Path, typer.Argument(metavar="BUNDLE", help="An isobench bundle archive.")],
    out: Annotated[Path | None, options.new_folder("replay-")] = None,
) -> None:
    """Repeat the run of a bundle on this host, and compare it with the original."""
    from harness.commands.running import replay as command

    command.start(archive, out, Terminal())


def _metrics(text: str | None) -> tuple[str, ...] | None:
    """Return the metrics that were named, None where no option was given."""
    return None if text is None else split(text)
