"""report.html: one file that needs no other, with everything a reader needs to believe it.

The page is its frame and a list of sections, in the order in which they are read. To add one, write
a `Section` (reports/section.py says what that is) and put it into `SECTIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.errors import IsobenchError
from harness.results.atomic_file import replace_file
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest
from reports.figures.files import write_figures
from reports.markup import code, glyphs, inline, share_styles
from reports.section import Results, Section
from reports.sections.analysis.explained import Explained
from reports.sections.analysis.pages import Pages
from reports.sections.analysis.peers import Peers
from reports.sections.conclusions.against import Against
from reports.sections.conclusions.answer import Answer
from reports.sections.conclusions.cautions import Cautions
from reports.sections.conclusions.findings import Findings
from reports.sections.measured import Measured, NotMeasured
from reports.sections.studies.attacks import Attacks, Frontier, Matrix
from reports.sections.studies.costs import Costs
from reports.sections.studies.density import Density
from reports.sections.studies.neighbour import Neighbour
from reports.sections.studies.profiles import Profiles
from reports.sections.studies.slo import Slo
from reports.sections.trials.crosscheck import Crosscheck
from reports.sections.trials.explore import Explore
from reports.sections.trials.numbers import Numbers
from reports.sections.trials.replayed import Replayed
from reports.sections.trials.sweep import Sweep
from reports.sections.trials.targets import Targets
from reports.sections.trials.throughput import Expenses, Rates

SECTIONS: Final[tuple[type[Section], ...]] = (
    Answer,
    Cautions,
    Against,
    Frontier,
    Explore,
    Rates,
    Findings,
    Sweep,
    Replayed,
    Pages,
    Density,
    Slo,
    Neighbour,
    Peers,
    Expenses,
    Matrix,
    Profiles,
    Targets,
    Numbers,
    Attacks,
    Crosscheck,
    Explained,
    Costs,
    NotMeasured,
    Measured,
)

_UNTITLED: Final = "What was measured"


def write(folder: Path, base: Path | None = None, *, force: bool = False) -> Path:
    """Write the summary, the figures and the page. Returns the path of the page.

    `base`: the folder of a run that this one is set beside, made on this machine unless `force`.
    """
    results_folder = ResultsFolder.open(folder)
    before = None if base is None else ResultsFolder.open(base)
    results = Results(results_folder, results_folder.write_summary(), before, force)
    sections = read(results)
    figures = {shown.name: shown.draw for section in sections for shown in section.figures}
    svgs = write_figures(figures, _directory(folder / "figures"))
    page = folder / "report.html"
    # A file's name may be bytes that are no text.
    replace_file(page, render(results.manifest, sections, svgs).encode(errors="replace"))
    return page


def without_figures(folder: Path) -> str:
    """Return the page with nothing where a figure would be; it is made in no time."""
    results = Results.open(folder)
    return render(results.manifest, read(results))


def read(results: Results) -> list[Section]:
    """Return the sections that a results folder has something for, in their order."""
    found = (section.read(results) for section in SECTIONS)
    return [section for section in found if section is not None]


def render(
    manifest: Manifest, sections: Sequence[Section], svgs: Mapping[str, str] | None = None
) -> str:
    """Return the page. Pure. `svgs`: the figures by name; None leaves their places empty."""
    names = [shown.name for section in sections for shown in section.figures]
    inlined = {name: "" if svgs is None else inline(svgs[name], name) for name in names}
    drawn, styles = share_styles(inlined)
    titles = (section.title for section in sections if section.title)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=next(titles, _UNTITLED),
            made=made(manifest),
            run_id=manifest.run_id,
            sections=sections,
            drawn={name: Markup(svg) for name, svg in drawn.items()},
            styles=Markup(styles),
            glyphs=Markup(glyphs((svgs or {}).values())),
        )
    )


def environment() -> Environment:
    """Return where the templates of pages are found, and how they are filled in."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("reports"), PackageLoader("reports", "sections")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = code
    return environment


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
        f"; continued by isobench {one['isobench']}"
        + (f" (commit {one['commit']})" if one.get("commit") else "")
        for one in manifest.continued_by
    )
    return f"{by}, {' to '.join(times)} UTC{''.join(later)}"


def _directory(directory: Path) -> Path:
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise IsobenchError(
            f"cannot write {directory}: {error.strerror}",
            hint="copy the results folder to a place that you may write to",
        ) from error
    return directory
