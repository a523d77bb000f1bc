"""What was measured, what could not be, where, and how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from harness.results.manifest import Manifest, Skipped, Target
from reports.section import Results, Section
from reports.words import left_out

FILES = {
    "report.html": "this page",
    "summary.csv": "the table of this page, unrounded",
    "summary.md": "the table of this page, for GitHub",
    "figures/": "the figures as SVG and PNG",
    "trials.parquet": "a row for each trial",
    "latency.parquet": "a latency histogram for each trial (HdrHistogram V2)",
    "costs.parquet": "bare costs of processes and interpreters",
    "mechanisms.parquet": "what the mechanisms of modes cost",
    "phases.parquet": "how long each phase of a request took",
    "profiles.parquet": "what each profile rests on, and whether its phases add up",
    "calls.parquet": "system calls per request, by name",
    "traces/": "some requests of each target, for ui.perfetto.dev",
    "crosscheck.parquet": "the same loads by another generator",
    "attacks.parquet": "each attack on each target, with its evidence",
    "density.parquet": "cost against the number of tenants",
    "coldstarts.parquet": "the time to a tenant's first response",
    "neighbour.parquet": "each window of a quiet tenant, alone and beside a noisy one",
    "slo.csv": "the highest rate of each target that keeps the promise, unrounded",
    "slo.parquet": "each load in search of it",
    "replay.npy": "the requests of the access log: times, and numbers of tenants and workloads",
    "run.json": "what was run, where and with what",
}
_ALWAYS = ("report.html", "summary.csv", "summary.md", "figures/")
"""Written with the page."""


@dataclass(frozen=True, kw_only=True)
class NotMeasured(Section):
    """The targets that this host could not run, and why; what a short run left out."""

    template: ClassVar[str] = "not_measured.html.j2"
    skipped: Sequence[Skipped]

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather them; None where nothing was left out."""
        skipped = results.manifest.skipped
        profiles = results.table("profiles")
        profiled = () if profiles.empty else set(profiles["target"])
        said = list(left_out.sentences(results.manifest, results.table("attacks"), profiled))
        return cls(skipped=skipped, sentences=said) if skipped or said else None


@dataclass(frozen=True, kw_only=True)
class Measured(Section):
    """The targets, the host, the commands and the files of a run."""

    template: ClassVar[str] = "measured.html.j2"
    targets: Sequence[Target]
    machine: Sequence[tuple[str, str]]
    command: str
    seed: int
    files: Mapping[str, str]

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it from run.json and the folder."""
        manifest = results.manifest
        return cls(
            targets=manifest.targets,
            machine=list(flat(_facts(manifest))),
            command=command(manifest),
            seed=manifest.seed,
            files=_files(results.path),
        )


def _facts(manifest: Manifest) -> Mapping[str, object]:
    return {
        **manifest.machine,
        "version": manifest.versions,
        "tenants' interpreter": manifest.interpreter,
        "processor of the": manifest.cores,
    }


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
    return {
        name: text for name, text in FILES.items() if name in _ALWAYS or (folder / name).exists()
    }
