"""A history as CSV: a row a run, a column a series; Apache Otava reads it as it is.

Otava (otava/importer.py, CsvImporter) takes a column of times, columns of numbers, and attributes
as they are. It refuses an empty cell in a column that it is told to read.
"""

from __future__ import annotations

import pandas as pd

from harness.results.comparison.history import History, Series, series_name


def csv(history: History) -> str:
    """Return a row for each run that has one of the series; what it did not measure is empty."""
    rows = [
        {
            "time": run.began.isoformat(),
            "run": run.name,
            "machine": run.machine,
            "isobench": run.manifest.isobench,
            "commit": run.manifest.commit,
        }
        for run in history.runs
    ]
    frame = pd.DataFrame(rows)
    columns = {column(one): _values(history, one) for one in history.series}
    values = pd.DataFrame(columns, index=frame.index)
    kept = values.notna().any(axis=1)
    return pd.concat([frame, values], axis=1)[kept].to_csv(index=False)


def column(one: Series) -> str:
    """Return the name of a series' column: dso/hello/closed:8/close/ratio_to_dso."""
    return f"{series_name(one.target, one.condition)}/{one.metric}"


def _values(history: History, one: Series) -> list[float | None]:
    known = {point.run: point.value.mid for point in one.points}
    return [known.get(place) for place in range(len(history.runs))]
