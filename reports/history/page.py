"""history.html: one file that needs no other but the reports that it links to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from harness.results.atomic_file import replace_file
from harness.results.comparison.history import History, Run, Series, condition_words
from harness.results.format import NONE
from harness.results.provenance import DECISIVE
from reports.figures.style import looks
from reports.history import words
from reports.history.chart import chart
from reports.page import environment

_TEMPLATE: Final = "history.html.j2"


def write(history: History, out: Path) -> Path:
    """Write the page. Returns its path. Raises IsobenchError where the disk refuses."""
    replace_file(out, render(history, out.parent).encode(errors="replace"))
    return out


def render(history: History, folder: Path) -> str:
    """Return the page as it is in a folder, from which its links lead."""
    links = [_link(run, folder) for run in history.runs]
    colours = {
        name: look.colour for name, look in looks([one.target for one in history.series]).items()
    }
    return (
        environment()
        .get_template(_TEMPLATE)
        .render(
            scope=words.scope(history),
            found=words.found(history),
            changes=_changes(history, links),
            charts=_charts(history, links, colours),
            runs=_runs(history, links),
            machines=_machines(history),
            skipped=list(words.skipped_lines(history)),
            unfinished=words.unfinished(history.runs),
        )
    )


def _link(run: Run, folder: Path) -> str | None:
    """Return the relative address of a run's report; None where it has none."""
    report = run.path / "report.html"
    if not report.exists():
        return None
    return quote(os.fsencode(os.path.relpath(report.absolute(), folder.absolute())))


def _charts(
    history: History, links: list[str | None], colours: Mapping[str, str]
) -> list[tuple[str, list[tuple[str, list[tuple[str, Markup]]]]]]:
    """Return the charts: by metric, by condition, by target."""

    def of_condition(series: list[Series]) -> list[tuple[str, Markup]]:
        return [
            (one.target, chart(history, one, colours[one.target], links.__getitem__))
            for one in series
        ]

    return [
        (
            words.heading(metric),
            [
                (condition_words(condition), of_condition(series))
                for condition, series in history.of(metric).items()
            ],
        )
        for metric in history.metrics
        if history.of(metric)
    ]


def _changes(history: History, links: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "target": one.target,
                "condition": condition_words(one.condition),
                "metric": words.heading(one.metric),
                "change": words.moved(shift),
                "first run after it": _linked(history.runs[shift.after].name, links[shift.after]),
                "what else changed": words.differences(history, shift.before, shift.after),
            }
            for one, shift in words.all_changes(history)
        ],
        dtype=object,  # pandas' own kind of text would forget that a link is Markup
    )


def _runs(history: History, links: list[str | None]) -> pd.DataFrame:
    """Return the runs, the latest first, with what changed since the one before on its machine."""
    rows = [
        {
            "run": _linked(run.name, links[place]),
            "began (UTC)": words.minute(run),
            "machine": run.machine,
            "isobench": words.made_by(run),
            "what else changed since the run before on this machine": _since(history, place),
        }
        for place, run in enumerate(history.runs)
    ]
    return pd.DataFrame(rows[::-1], dtype=object)


def _since(history: History, place: int) -> str:
    machine = history.runs[place].machine
    earlier = [one for one in range(place) if history.runs[one].machine == machine]
    return words.differences(history, earlier[-1], place) if earlier else NONE


def _machines(history: History) -> pd.DataFrame:
    first = {run.machine: run.manifest.machine for run in reversed(history.runs)}
    return pd.DataFrame(
        [
            {"machine": number, **{name: first[number].get(name, NONE) for name in DECISIVE}}
            for number in sorted(first)
        ]
    )


def _linked(name: str, link: str | None) -> str | Markup:
    return Markup('<a href="{}">{}</a>').format(link, name) if link else name
