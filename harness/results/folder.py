"""The results folder: the contract between the harness, the reports and other people's tools.

A run writes it, one trial at a time; no other run ever overwrites it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from harness.errors import Caution, IsobenchError
from harness.results import schema
from harness.results.atomic_file import content_of, refusal, remove_partials, replace_file
from harness.results.blocks import block_values
from harness.results.comparison.compare import Measured
from harness.results.conditions import BASELINE, by_condition
from harness.results.manifest import Manifest
from harness.results.rows import LatencyRow, TrialRow
from harness.results.summary import markdown, summarise
from harness.stats.histogram import Histogram
from harness.stats.significance import SMALLEST_EFFECT


class ResultsFolder:
    """One run's results. Make one with `create` or `open`, and close it.

    A writable folder holds an exclusive lock on the directory until `close`: one writer only.
    Readers take no lock, since every file in it is replaced as a whole.
    """

    def __init__(self, path: Path, manifest: Manifest, lock: int | None) -> None:
        self.path = path
        self.manifest = manifest
        self._lock = lock

    @classmethod
    def create(cls, path: Path, manifest: Manifest) -> ResultsFolder:
        """Start a folder for a new run, writable.

        Raises IsobenchError where there are results already, another run writes there, or the
        disk refuses.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise refusal(path, error) from error
        lock = _lock(path)
        try:
            _refuse_results(path)
            replace_file(path / "run.json", manifest.to_bytes())
        except BaseException:
            os.close(lock)
            raise
        return cls(path, manifest, lock)

    @staticmethod
    def must_be_free(path: Path) -> None:
        """Raise the IsobenchError that `create` would, as far as that shows without writing.

        For callers that want to know before minutes of preparation.
        """
        try:
            _refuse_results(path)
            nearest = next(place for place in (path, *path.absolute().parents) if place.exists())
            if not nearest.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, f"{nearest} is not a directory")
            if not os.access(nearest, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise refusal(path, error) from error

    @classmethod
    def open(cls, path: Path, *, writable: bool = False) -> ResultsFolder:
        """Open the folder of an earlier run, to read it or to continue it.

        Raises IsobenchError where it is no results folder, its run.json is damaged or of a
        newer schema, or (`writable`) another run writes there.
        """
        if not writable:
            return cls(path, _read_manifest(path), lock=None)
        _read_manifest(path)
        lock = _lock(path)
        try:
            remove_partials(path)
            # Anew: the run that held the lock before may have changed it.
            return cls(path, _read_manifest(path), lock)
        except BaseException:
            os.close(lock)
            raise

    def close(self) -> None:
        """Release the lock. Closing twice is harmless."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append_trial(
        self, row: TrialRow, service_us: ArrayLike = (), response_us: ArrayLike = ()
    ) -> None:
        """Store a trial durably, before the next begins: see `append_trials`."""
        self.append_trials([(row, service_us, response_us)])

    def append_trials(self, made: Iterable[tuple[TrialRow, ArrayLike, ArrayLike]]) -> None:
        """Store trials durably: those made together, before others begin.

        Each has its row, and a latency a request in microseconds, from the actual and from the
        intended time of sending; none where there is none, as in a void trial. Raises ValueError
        where a trial is there already.
        """
        self._must_be_writable()
        trials = list(made)
        there = set(self.trials()["trial"])
        for row, _, _ in trials:
            if row.trial in there:
                raise ValueError(f"trial {row.trial} is there already")
            there.add(row.trial)
        latency = [
            asdict(_latency_row(row, clock, values))
            for row, service_us, response_us in trials
            for clock, values in (("service", service_us), ("response", response_us))
            if _any(values)
        ]
        # The trials' rows come last and are what makes trials count: killed in between, the
        # histograms have no trial, are not shown, and are replaced when it is repeated.
        if latency:
            schema.replace_rows(self.path, "latency", "trial", latency)
        schema.append(self.path, "trials", [asdict(row) for row, _, _ in trials])

    def append_table(self, name: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Add rows to a table other than trials and latency. Raises ValueError for another name."""
        self._must_be_writable()
        if name not in schema.SCHEMAS.keys() - {"trials", "latency"}:
            raise ValueError(f"no table {name!r} to append to")
        schema.append(self.path, name, rows)

    def replace_targets(self, name: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Put rows into a table of one measurement a target, in place of the targets' earlier ones.

        Raises ValueError for a table of another kind.
        """
        self._must_be_writable()
        if name not in ("phases", "profiles", "calls", "attacks"):
            raise ValueError(f"no table {name!r} of one measurement a target")
        schema.replace_rows(self.path, name, "target", rows)

    def trials(self) -> pd.DataFrame:
        """Return trials.parquet."""
        return schema.read(self.path, "trials")

    def latency(self) -> pd.DataFrame:
        """Return latency.parquet without the histograms whose trial never ended."""
        latency = schema.read(self.path, "latency")
        return latency[latency["trial"].isin(self.trials()["trial"])].reset_index(drop=True)

    def table(self, name: str) -> pd.DataFrame:
        """Return any table by its name; no rows where it was never written."""
        return schema.read(self.path, name)

    def summary(self, baseline: str = BASELINE) -> pd.DataFrame:
        """Return the frame of summary.csv, made anew from the trials."""
        effect = self.manifest.plan.get("smallest_effect", SMALLEST_EFFECT)
        trials, latency = self.trials(), self.latency()
        return summarise(trials, latency, baseline, float(effect), self.manifest.server_cores())

    def write_summary(self, baseline: str = BASELINE) -> pd.DataFrame:
        """Write summary.csv and summary.md, and return the frame.

        A reader may do so too: they follow from the trials. Raises IsobenchError where the disk
        refuses.
        """
        summary = self.summary(baseline)
        text = summary.to_csv(index=False, float_format="%.6g")
        replace_file(self.path / "summary.csv", text.encode())
        replace_file(self.path / "summary.md", markdown(summary, baseline).encode())
        return summary

    def measured(self, metrics: Sequence[str]) -> Measured:
        """Return what another run can be compared with: these metrics, one value a block."""
        summary = self.summary()
        verdicts = {
            (str(row["target"]), condition): str(row["verdict"])
            for condition, rows in by_condition(summary)
            for row in rows.to_dict("records")
        }
        return Measured(self.manifest, block_values(self.trials(), metrics), verdicts)

    def update(self, **changes: Any) -> None:
        """Replace members of the manifest and write run.json anew."""
        self._must_be_writable()
        manifest = replace(self.manifest, **changes)
        replace_file(self.path / "run.json", manifest.to_bytes())
        self.manifest = manifest

    def note(self, command: str, record: Mapping[str, Any]) -> None:
        """Record what a command other than `run` added to the folder.

        A record has at least `argv` and `seed`, by which the command is repeated.
        """
        self.update(also={**self.manifest.also, command: record})

    def finish(self, warnings: Iterable[Caution] = ()) -> None:
        """Mark the run as finished now, and add what was learned about it on the way."""
        self.update(
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            warnings=(*self.manifest.warnings, *warnings),
        )

    def _must_be_writable(self) -> None:
        if self._lock is None:
            raise RuntimeError(f"{self.path} was opened to be read, or is closed")


def _lock(path: Path) -> int:
    # The directory itself: a lock file would be one more file, and run.json is replaced.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise refusal(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise IsobenchError(
            f"another isobench is writing to {path}",
            hint="wait for it to end, or choose another folder with --out",
        ) from error
    return descriptor


def _refuse_results(path: Path) -> None:
    ours = [path / "run.json", *(schema.table_path(path, name) for name in schema.SCHEMAS)]
    if found := [file.name for file in ours if file.exists()]:
        raise IsobenchError(
            f"{path} already holds results ({found[0]}), which are never overwritten",
            hint="choose another folder with --out; to continue an interrupted run: isobench "
            f"run --resume {path}",
        )


def _read_manifest(path: Path) -> Manifest:
    file = path / "run.json"
    try:
        text = content_of(file).decode()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IsobenchError(
            f"{path} is not a results folder: it has no run.json",
            hint="name the folder that a run wrote, such as results/<run-id>",
        ) from error
    except OSError as error:
        raise IsobenchError(
            f"cannot read {file}: {error.strerror}", hint="check its owner and permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise IsobenchError(
            f"{file} is damaged: {error}",
            hint="restore it from a copy, or measure again with another --out",
        ) from error
    return Manifest.from_json(text, source=str(file))


def _any(values: ArrayLike) -> bool:
    return len(values) > 0  # type: ignore[arg-type]


def _latency_row(row: TrialRow, clock: str, latencies_us: ArrayLike) -> LatencyRow:
    latencies = np.asarray(latencies_us, dtype=np.float64)
    histogram = Histogram.of(latencies)
    return LatencyRow(
        trial=row.trial,
        target=row.target,
        workload=row.workload,
        load=row.load,
        connection=row.connection,
        block=row.block,
        clock=clock,
        count=histogram.count,
        min_us=float(latencies.min()),
        max_us=float(latencies.max()),
        hdr=histogram.to_text(),
    )
