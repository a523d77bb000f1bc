"""report.html: one file that needs no other, with everything a reader needs to believe it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from harness.errors import Caution, IsobenchError
from harness.results.atomic_file import replace_file
from harness.results.folder import ResultsFolder
from harness.results.format import readable
from harness.results.load_curve import Place, Swept, sweeps
from harness.results.manifest import Manifest, Target
from harness.results.summary import (
    BASELINE,
    by_condition,
    cautions,
    failed_checks,
    histograms,
    portions_apart,
)
from reports.figures import attacks as attack_figures
from reports.figures import costs as cost_figures
from reports.figures import throughput
from reports.scope import Scope
from reports.sections import attacks as hostility
from reports.sections import certainty, costs, explained, loads, profiles
from reports.sections import findings as words

FILES = {
    "report.html": "this page",
    "summary.csv": "the table of this page, unrounded",
    "summary.md": "the table of this page, for GitHub",
    "figures/": "the figures as SVG and PNG",
    "trials.parquet": "a row for each trial",
    "latency.parquet": "a latency histogram for each trial (HdrHistogram V2)",
    "costs.parquet": "bare costs of processes and interpreters",
    "phases.parquet": "how long each phase of a request took",
    "profiles.parquet": "what each profile rests on, and whether its phases add up",
    "calls.parquet": "system calls per request, by name",
    "traces/": "some requests of each target, for ui.perfetto.dev",
    "crosscheck.parquet": "the same loads by another generator",
    "attacks.parquet": "each attack on each target, with its evidence",
    "run.json": "what was run, where and with what",
}


Sweeps = Mapping[Place, Sequence[Swept]]

REFERENCES = (BASELINE, "harache")
"""What each target is set beside: the fastest way without protection, and a safe one."""


@dataclass(frozen=True)
class Shown:
    """A figure of the page."""

    name: str
    heading: str
    text: str
    figure: Figure


@dataclass(frozen=True)
class Section:
    """One target's part of the page: what it is, what was found, a figure beside others."""

    target: Target
    findings: list[str]
    shown: Shown


@dataclass(frozen=True)
class Explained:
    """What the page says of why modes cost what they cost, under one condition."""

    condition: str
    findings: list[str]
    table: pd.DataFrame

    @classmethod
    def read(
        cls, results: ResultsFolder, summary: pd.DataFrame, interpreter: str
    ) -> Explained | None:
        """Put it together; None where a folder has costs and no trials to explain by them."""
        recipes = {
            target.name: target.recipe
            for target in results.manifest.targets
            if target.recipe is not None
        }
        found = explained.explain(summary, results.table("costs"), interpreter, recipes)
        if found is None:
            return None
        condition, explanations = found
        dearest = explained.dearest_phases(results.table("phases"), results.table("profiles"))
        return cls(
            condition.words(),
            explained.findings(explanations, dearest),
            explained.table(explanations),
        )


@dataclass(frozen=True)
class Bare:
    """What the page says of bare costs; a table is what stands above it, and its rows."""

    title: str
    findings: list[str]
    shown: list[Shown]
    tables: list[tuple[str, pd.DataFrame]]
    missing: list[tuple[str, str]]
    explained: Explained | None

    @classmethod
    def read(cls, results: ResultsFolder, summary: pd.DataFrame) -> Bare | None:
        """Gather it from a results folder; None where costs were not measured."""
        rows = results.table("costs")
        if rows.empty:
            return None
        interpreter = f"CPython {results.manifest.interpreter.get('version')}"
        tables = [
            ("Making and reaping a process", costs.creation_table(rows)),
            ("CPython processes and their children", costs.heap_table(rows)),
            ("Starting an interpreter", costs.launch_table(rows)),
            ("The dearest imports", costs.dearest(rows)),
        ]
        missing = results.manifest.also.get("costs", {}).get("missing", ())
        return cls(
            costs.title(rows),
            costs.findings(rows, interpreter),
            list(_cost_figures(rows)),
            [(heading, table) for heading, table in tables if not table.empty],
            [(one["name"], one["reason"]) for one in missing],
            Explained.read(results, summary, interpreter),
        )


@dataclass(frozen=True)
class OfLoad:
    """What the page says of the load itself: of the generator, of another one, of sweeps.

    `title` is there where the run was a sweep and nothing else; `table` may have no rows.
    """

    title: str | None
    findings: list[str]
    table: pd.DataFrame

    @classmethod
    def read(cls, results: ResultsFolder, summary: pd.DataFrame, swept: Sweeps) -> OfLoad:
        """Gather it from a results folder."""
        common, _ = portions_apart(summary)
        checked = results.table("crosscheck")
        sentences = [
            *loads.sweeps(swept),
            *loads.ceilings(common),
            *loads.cross_check(checked),
        ]
        if common.empty:
            sentences += words.identities(summary[summary["trials"] > 0])
        title = loads.title(swept) if common.empty and swept else None
        return cls(title, sentences, loads.cross_check_table(checked))


@dataclass(frozen=True)
class OfAttacks:
    """What the page says of attacks; there is one only where some were made."""

    findings: list[str]
    standings: list[hostility.Standing]
    shown: Mapping[str, list[hostility.Shown]]
    figures: list[Shown]

    @classmethod
    def read(cls, results: ResultsFolder, common: pd.DataFrame) -> OfAttacks | None:
        """Gather it from a results folder."""
        attacks = results.table("attacks")
        if attacks.empty:
            return None
        standings = hostility.standings(attacks)
        return cls(
            hostility.sentences(attacks, common),
            standings,
            hostility.shown(attacks, [one.target for one in standings]),
            list(_attack_figures(attacks, common)),
        )

    @property
    def families(self) -> list[str]:
        """The families of the attacks, in their order."""
        return list(self.shown)

    @property
    def targets(self) -> list[str]:
        """The targets, the safest first."""
        return [one.target for one in self.standings]


def write(folder: Path) -> Path:
    """Write the summary, the figures and the page. Returns the path of the page."""
    results = ResultsFolder.open(folder)
    summary = results.write_summary()
    common, _ = portions_apart(summary)
    swept = sweeps(results.trials(), results.latency(), summary, results.manifest.plan)
    of_attacks = OfAttacks.read(results, common)
    shown = [
        *(of_attacks.figures if of_attacks else ()),
        *_sweep_figure(swept),
        *_figures(results, common),
    ]
    sections = list(_sections(results.manifest.targets, common))
    bare = Bare.read(results, summary)
    profiled = profiles.OfProfiles.read(results)
    if profiled.figure is not None:
        shown.append(Shown("waterfall", profiles.HEADING, profiles.LEGEND, profiled.figure))
    every = [*shown, *(section.shown for section in sections), *(bare.shown if bare else ())]
    svgs = {item.name: throughput.to_svg(item.figure) for item in every}
    _write_figures(folder, every, svgs)
    page = folder / "report.html"
    of_load = OfLoad.read(results, summary, swept)
    text = render(
        results.manifest,
        summary,
        shown,
        sections,
        svgs,
        of_load,
        bare,
        _files(folder),
        of_attacks,
        profiled,
    )
    # A file's name may be bytes that are no text.
    replace_file(page, text.encode(errors="replace"))
    return page


def render(
    manifest: Manifest,
    summary: pd.DataFrame,
    shown: list[Shown],
    sections: list[Section],
    svgs: Mapping[str, str],
    of_load: OfLoad,
    bare: Bare | None = None,
    files: Mapping[str, str] = FILES,
    of_attacks: OfAttacks | None = None,
    profiled: profiles.OfProfiles = profiles.NONE,
    baseline: str = BASELINE,
) -> str:
    """Return the page. Pure."""
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = code
    tables = [
        (condition.words(), list(table.columns), table.to_numpy().tolist())
        for condition, table in (
            (condition, telling(readable(rows, baseline)))
            for condition, rows in by_condition(summary)
        )
    ]
    common, _ = portions_apart(summary)
    return environment.get_template("report.html.j2").render(
        title=of_attacks.findings[0].removesuffix(".")
        if of_attacks and common.empty and bare is None and profiled.figure is None
        else _title(summary, common, of_load, bare, profiled, baseline),
        manifest=manifest,
        made=made(manifest),
        measured=Scope.of(common).common,
        self_checks=certainty.self_checks(summary),
        findings=[
            *(of_attacks.findings if of_attacks else ()),
            *words.findings(common, baseline),
            *of_load.findings,
            *certainty.stopping(manifest.stopped),
        ],
        cross_check=of_load.table,
        profiled=profiled,
        bare=bare,
        bare_figures=_inlined(bare.shown, svgs) if bare else [],
        # Of a folder that has costs, attacks or profiles and no trials, no trial is missing.
        cautions=_ordered(manifest, summary, baseline)
        if (bare is None and of_attacks is None and profiled.figure is None) or not summary.empty
        else [*_broken_off(manifest), *manifest.warnings],
        attacks=of_attacks,
        figures=_inlined(shown, svgs),
        sections=[
            (section, Markup(inline(svgs[section.shown.name], section.shown.name)))
            for section in sections
        ],
        tables=tables,
        columns={name for _, names, _ in tables for name in names},
        machine=list(
            flat(
                {
                    **manifest.machine,
                    "version": manifest.versions,
                    "tenants' interpreter": manifest.interpreter,
                    "processor of the": manifest.cores,
                }
            )
        ),
        command=command(manifest),
        files=files,
        identities=words.IDENTITIES,
        baseline=baseline,
    )


def _title(
    summary: pd.DataFrame,
    common: pd.DataFrame,
    of_load: OfLoad,
    bare: Bare | None,
    profiled: profiles.OfProfiles,
    baseline: str,
) -> str:
    if summary.empty and profiled.figure is not None:
        return profiles.HEADING
    if bare is not None and summary.empty:
        return bare.title
    return of_load.title or words.title(common, baseline)


def _inlined(shown: Iterable[Shown], svgs: Mapping[str, str]) -> list[tuple[str, str, Markup]]:
    """Return heading, text and drawing of each figure."""
    return [(item.heading, item.text, Markup(inline(svgs[item.name], item.name))) for item in shown]


def command(manifest: Manifest) -> str:
    """Return the commands that repeat it, one a line, with the seeds that were used."""
    made = [(manifest.argv, manifest.seed)]
    made += [(also["argv"], also["seed"]) for also in manifest.also.values()]
    # A folder that `costs` alone wrote names its command twice.
    return "\n".join(dict.fromkeys(_seeded(argv, seed) for argv, seed in made))


def _seeded(argv: Sequence[str], seed: int) -> str:
    given = any(word == "--seed" or word.startswith("--seed=") for word in argv)
    return shlex.join([*argv, *([] if given else ["--seed", str(seed)])])


def _files(folder: Path) -> dict[str, str]:
    """Return the files that the folder has, or will have with the page, and what each is."""
    always = ("report.html", "figures/")
    return {
        name: text for name, text in FILES.items() if name in always or (folder / name).exists()
    }


def made(manifest: Manifest) -> str:
    """Return by which isobench and when a run was made."""
    commit = f" (commit {manifest.commit})" if manifest.commit else ""
    by = f"isobench {manifest.isobench}{commit}, run {manifest.run_id}"
    times = [
        text.removesuffix("+00:00").replace("T", " ")
        for text in (manifest.started_at, manifest.finished_at)
        if text
    ]
    later = (
        f"; gone on with by isobench {one['isobench']}"
        + (f" (commit {one['commit']})" if one.get("commit") else "")
        for one in manifest.continued_by
    )
    return f"{by}, {' to '.join(times)} UTC{''.join(later)}"


def telling(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of texts as the page has it: what tells most first, and what fits.

    Columns that have no number but 0 are left out. The verdict stands beside the name: at the end
    of a line as wide as this it would not be seen.
    """
    target, runs_as, *numbers, verdict = list(table.columns)
    kept = [name for name in numbers if set(table[name]) - {"0", "\N{EN DASH}"}]
    return table[[target, verdict, runs_as, *kept]]


def code(text: str) -> Markup:
    """Return a text as HTML, with what stands between backticks as code."""
    # Every second part stood between two backticks; a last one that is never closed is none.
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    plain, quoted = ([escape(part) for part in parts[start::2]] for start in (0, 1))
    codes = [Markup("<code>{}</code>").format(part) for part in quoted]
    return Markup("").join(chain.from_iterable(zip_longest(plain, codes, fillvalue=Markup(""))))


def inline(svg: str, name: str) -> str:
    """Return an SVG to be put into HTML: ids of its own, and colours that follow the theme."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    for colour, variable in (("INK", "ink"), ("FAINT", "faint"), ("PAPER", "paper")):
        svg = svg.replace(getattr(throughput, colour), f"var(--{variable})")
    return svg


def flat(facts: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested facts as pairs of a name in words and a text."""
    for name, value in facts.items():
        named = f"{prefix}{name.replace('_', ' ').replace(' gib', ' GiB')}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{named} ")
        elif isinstance(value, list | tuple):
            yield named, ", ".join(map(str, value))
        else:
            yield named, str(value)


def _ordered(manifest: Manifest, summary: pd.DataFrame, baseline: str) -> list[Caution]:
    """Return all cautions, those first that make the others idle."""
    alarms = failed_checks(summary)
    others = [one for one in cautions(summary, baseline) if one not in alarms]
    unfinished = (*_unfinished(manifest), *_broken_off(manifest))
    return [*alarms, *unfinished, *manifest.warnings, *others]


def _unfinished(manifest: Manifest) -> list[Caution]:
    if manifest.finished_at:
        return []
    return [
        Caution(
            "this run has not finished: what follows is what it had measured so far",
            "go on with it by --resume and its folder",
        )
    ]


def _broken_off(manifest: Manifest) -> Iterator[Caution]:
    if manifest.also.get("attack", {}).get("finished_at", "") is None:
        yield Caution(
            "not all attacks have been made: what follows is what they had shown so far",
            "go on with them: isobench attack --resume and the folder",
        )


def _sweep_figure(swept: Sweeps) -> Iterator[Shown]:
    if swept:
        yield Shown(
            "sweep",
            "Latency against load",
            "Requests are sent at their times, whether others were answered or not, and latency "
            "counts from these times. The thick line is p99, the thin one p50; a line without "
            "p99 had too few requests for it. Each target is loaded up to 95% of its own knee.",
            throughput.sweep(swept),
        )


def _figures(results: ResultsFolder, summary: pd.DataFrame) -> Iterator[Shown]:
    if not (summary["trials"] > 0).any():
        return
    rated = throughput.with_telling_rates(summary)
    if (rated["trials"] > 0).any():
        yield Shown(
            "throughput",
            "Throughput",
            "The point is the estimate, the line across it its 95% interval; a line without an "
            "end goes on.",
            throughput.throughput(rated),
        )
    merged = histograms(results.trials(), results.latency())
    if merged:
        yield Shown(
            "latency",
            "Latency",
            "Each line ends where the number of requests no longer supports a percentile.",
            throughput.latency(summary, merged),
        )
    if summary["server_cpu_us_per_request"].notna().any():
        yield Shown(
            "cpu",
            "CPU per request",
            "All processes of the server, those that ended included, divided by the requests "
            "answered. It holds on a noisy machine, and where the generator was the limit.",
            throughput.cpu(summary),
        )
    if summary["memory_mib"].notna().any():
        yield Shown(
            "memory",
            "Memory",
            "Shared pages are counted once (proportional set size), at the end of a trial.",
            throughput.memory(summary),
        )


def _cost_figures(rows: pd.DataFrame) -> Iterator[Shown]:
    if not costs.of(rows, "creation").empty:
        yield Shown(
            "costs-processes",
            "Process creation against memory",
            "From before the call until the child, which does nothing or executes a program that "
            "does nothing, is reaped; all on one core. The curve is the fitted line, so much a "
            "process and so much a MiB, which log scales bend.",
            cost_figures.creation(rows),
        )
    if not costs.launches(rows).empty:
        yield Shown(
            "costs-interpreters",
            "Interpreters: from exec to the first line, and to exit",
            "A script of one line, files in memory. The process is there already: its creation "
            "is not counted.",
            cost_figures.launches(rows),
        )
    if not costs.of(rows, "import").empty:
        yield Shown(
            "costs-imports",
            "What each workload imports",
            "By CPython's own -X importtime, whose clock makes each import a little longer. Grey "
            "is what the interpreter imports before any script; the ten dearest of the rest are "
            "numbered, each by the time of its own code. Each tree has its own scale.",
            cost_figures.imports(rows),
        )


def _attack_figures(attacks: pd.DataFrame, common: pd.DataFrame) -> Iterator[Shown]:
    security = attack_figures.frontier(attacks, common)
    if security is not None:
        yield Shown(
            "frontier",
            "Security against speed",
            "The line joins the targets that no other one beats in both. A target below or "
            "behind it gives up something for nothing.",
            security,
        )
    yield Shown(
        "attacks",
        "Attacks",
        "A square: the attack succeeded. A dot: it was blocked. Nothing: there was nothing to "
        "attack. The target that stops the largest share is on the left.",
        attack_figures.matrix(attacks),
    )


def _sections(targets: Iterable[Target], summary: pd.DataFrame) -> Iterator[Section]:
    measured = set(summary[summary["trials"] > 0]["target"])
    for target in sorted(targets, key=lambda target: target.name):
        if target.name not in measured:
            continue
        others = [name for name in REFERENCES if name != target.name and name in measured]
        beside = f"beside {' and '.join(others)}" if others else "alone"
        figure = throughput.beside(summary, [target.name, *others])
        file = re.sub(r"[^a-z0-9_]+", "-", f"target-{target.name}")
        yield Section(
            target,
            words.beside(summary, target.name, others),
            Shown(file, f"{target.name} {beside}", "", figure),
        )


def _write_figures(folder: Path, shown: list[Shown], svgs: Mapping[str, str]) -> None:
    directory = folder / "figures"
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise IsobenchError(
            f"cannot write {directory}: {error.strerror}",
            hint="copy the results folder to a place that you may write to",
        ) from error
    for item in shown:
        replace_file(directory / f"{item.name}.svg", svgs[item.name].encode())
        replace_file(directory / f"{item.name}.png", throughput.to_png(item.figure))
