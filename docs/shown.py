"""Renew what README and docs show of a run: `python -m docs.shown results/RUN`, in a checkout.

RUN is the folder of a run of all modes, as `nox -s bench` makes it, on a quiet machine. From it are
made anew:

docs/throughput.png, report.png, run.svg             by docs/pictures.py; the last has its own run
README.md                                            the table of rates, that of attacks, their date
docs/checked-against.csv, docs/checked-against.md    our ratios, the orders, and Kendall's tau

What is said of these numbers in sentences has to be read again; `git diff` shows what moved.
`--only tables` makes no pictures.
"""

from __future__ import annotations

import argparse
import io
import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Final

import pandas as pd
from rich.console import Console, RenderableType

from docs import pictures
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest
from reports.terminal import render_attacks, render_table
from tests import checked_against

ROOT: Final = Path(__file__).parents[1]
README: Final = ROOT / "README.md"
WIDTH: Final = 80
CHECKED: Final = ("target", "workload", "load", "connection")
RATIOS: Final = ("ratio_to_dso", "ratio_to_dso_low", "ratio_to_dso_high")
OUTCOMES: Final = ("blocked", "succeeded", "not-applicable", "error")
_RATES = re.compile(r"```\nhello, 8 users, one connection per request.*?```\n", re.DOTALL)
_ATTACKS = re.compile(r"```\nattacks stopped.*?```\n", re.DOTALL)


def rates(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that the README shows: those of modes, with a connection for each request.

    Raises SystemExit where there are none, or none with an interval.
    """
    found = summary[
        (summary["kind"] == "mode")
        & (summary["workload"] == "hello")
        & (summary["load"] == "closed:8")
        & (summary["connection"] == "close")
    ]
    if found.empty or found["ratio_to_dso_low"].isna().any():
        raise SystemExit(
            "this run has no hello, closed:8, close in two blocks or more: make one by nox -s bench"
        )
    return found


def renewed_readme(
    text: str, summary: pd.DataFrame, attacks: pd.DataFrame, manifest: Manifest
) -> str:
    """Return the README with the tables of a run; without attacks, theirs stays."""
    text = _RATES.sub(
        lambda _: f"```\n{_plain(render_table(rates(summary), width=WIDTH))}```\n", text
    )
    day = datetime.fromisoformat(manifest.started_at).date().isoformat()
    text = re.sub(r"(as in the figures, on )\d{4}-\d\d-\d\d", rf"\g<1>{day}", text)
    if attacks.empty:
        return text
    attacks = attacks[attacks["beside"].fillna("") == ""]
    number = attacks["attack"].nunique()
    text = re.sub(
        r"the share of \d+ hostile scripts", f"the share of {number} hostile scripts", text
    )
    shown = _plain(render_attacks(attacks, WIDTH)) + _counted(attacks)
    return _ATTACKS.sub(lambda _: f"```\n{shown}```\n", text)


def _counted(attacks: pd.DataFrame) -> str:
    counts = Counter(attacks["outcome"])
    said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])
    number, targets = (attacks[name].nunique() for name in ("attack", "target"))
    return f"{number} attacks on {targets} targets: {said}\n"


def _plain(shown: RenderableType) -> str:
    written = io.StringIO()
    console = Console(
        file=written, width=WIDTH, color_system=None, markup=False, emoji=False, highlight=False
    )
    console.print(shown)
    return "".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines())


def checked(summary: pd.DataFrame) -> str:
    """Return docs/checked-against.csv: the ratios of modes to dso, with a connection a request."""
    rows = summary[
        (summary["kind"] == "mode")
        & summary["workload"].isin(["hello", "page:5ms"])
        & (summary["load"] == "closed:8")
        & (summary["connection"] == "close")
    ]
    return rows[[*CHECKED, *RATIOS]].to_csv(index=False, float_format="%.6g")


def renewed_page(text: str, manifest: Manifest, blocks: int) -> str:
    """Return docs/checked-against.md with what its CSV says, and when that was measured."""
    day = datetime.fromisoformat(manifest.started_at)
    said = f"on {day.day} {day:%B %Y} (commit {(manifest.commit or 'unknown')[:7]}, {blocks} blocks"
    text = re.sub(r"on \d+ \w+ \d{4} \(commit \w+, \w+ blocks", said, text)
    return checked_against.renewed(text, checked_against.ratios())


def renew_tables(results: Path) -> None:
    """Write the tables of a results folder into README and docs."""
    folder = ResultsFolder.open(results)
    summary, manifest = folder.summary(), folder.manifest
    README.write_text(
        renewed_readme(README.read_text(), summary, folder.table("attacks"), manifest)
    )
    checked_against.DATA.write_text(checked(summary))
    blocks = int(rates(summary)["trials"].max())
    page = checked_against.PAGE
    page.write_text(renewed_page(page.read_text(), manifest, blocks))


def main() -> None:
    """Renew all of it, or the tables alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("results", type=Path, help="the folder of a run of all modes")
    parser.add_argument("--only", choices=("tables", "pictures"))
    wanted = parser.parse_args()
    if wanted.only != "pictures":
        renew_tables(wanted.results)
    if wanted.only != "tables":
        pictures.make(wanted.results)


if __name__ == "__main__":
    main()
