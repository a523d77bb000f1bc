"""The tables of a results folder: their columns, and how rows get into them.

Every column is declared here, with its unit in its name. `null=True` marks the numbers that a
void trial does not have. docs/results.md says what each column means.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.errors import IsobenchError
from harness.results.atomic_file import replace_file

Row = Mapping[str, object]

_TEXT = pa.string()
_INT = pa.int64()
_FLOAT = pa.float64()


def _column(name: str, kind: pa.DataType, *, null: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=null)


def _numbers(*names: str) -> list[pa.Field]:
    return [_column(name, _FLOAT, null=True) for name in names]


SCHEMAS: Mapping[str, pa.Schema] = {
    "trials": pa.schema(
        [
            _column("trial", _TEXT),
            _column("block", _INT),
            _column("position", _INT),
            _column("target", _TEXT),
            _column("kind", _TEXT),
            _column("runs_as", _TEXT),
            _column("workload", _TEXT),
            _column("load", _TEXT),
            _column("connection", _TEXT),
            _column("tenants", _INT),
            _column("popularity", _TEXT),
            _column("started_at", _TEXT),
            _column("measured_s", _FLOAT, null=True),
            _column("requests", _INT, null=True),
            _column("errors", _INT, null=True),
            _column("first_error", _TEXT, null=True),
            *_numbers("requests_per_second", "mean_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms"),
            _column("served", _INT, null=True),
            _column("sent", _INT, null=True),
            _column("server_cpu_us_per_request", _FLOAT, null=True),
            _column("server_cpu_source", _TEXT, null=True),
            *_numbers(
                "forks_per_request",
                "context_switches_per_request",
                "page_faults_per_request",
                "memory_mib",
            ),
            _column("processes", _INT, null=True),
            *_numbers("generator_cpu_share", "steal_share", "startup_s"),
            _column("verdict", _TEXT),
            *_numbers("offered_per_second", "late_worst_ms"),
            _column("late", _INT, null=True),
            _column("dropped", _INT, null=True),
            _column("attempt", _INT, null=True),
            _column("took_s", _FLOAT, null=True),
            _column("answered", _INT, null=True),
            _column("verified", _INT, null=True),
            _column("self_checks", _TEXT, null=True),
            _column("steady", _TEXT, null=True),
            *_numbers("steady_from_s", "discarded_s"),
            _column("disturbed", _TEXT, null=True),
            *_numbers("foreign_cpu_share", "pressure_share", "spin_before", "spin_after"),
            _column("runnable_before", _INT, null=True),
            _column("runnable_after", _INT, null=True),
            _column("env_bytes", _INT, null=True),
            _column("hash_seed", _INT, null=True),
            _column("port", _INT, null=True),
            _column("tenant_order", _TEXT, null=True),
        ]
    ),
    "latency": pa.schema(
        [
            _column("trial", _TEXT),
            _column("target", _TEXT),
            _column("workload", _TEXT),
            _column("load", _TEXT),
            _column("connection", _TEXT),
            _column("block", _INT),
            _column("clock", _TEXT),
            _column("count", _INT),
            _column("min_us", _FLOAT),
            _column("max_us", _FLOAT),
            _column("hdr", _TEXT),
        ]
    ),
    "crosscheck": pa.schema(
        [
            _column("target", _TEXT),
            _column("workload", _TEXT),
            _column("load", _TEXT),
            _column("connection", _TEXT),
            _column("tenants", _INT),
            _column("popularity", _TEXT),
            _column("tool", _TEXT),
            _column("rounds", _INT),
            *_numbers("own_per_second", "tool_per_second", "rate_difference"),
            *_numbers("own_p50_ms", "tool_p50_ms", "own_p99_ms", "tool_p99_ms"),
            _column("tool_errors", _INT, null=True),
            _column("note", _TEXT, null=True),
        ]
    ),
    "phases": pa.schema(
        [
            _column("target", _TEXT),
            _column("phase", _TEXT),
            _column("order", _INT),
            *_numbers("median_us", "p90_us", "share"),
            _column("part", _TEXT),
        ]
    ),
    "profiles": pa.schema(
        [
            _column("target", _TEXT),
            _column("workload", _TEXT),
            _column("tenants", _INT),
            _column("requests", _INT),
            _column("disordered", _INT),
            *_numbers("service_us", "accounted"),
            _column("missing", _TEXT),
            _column("no_kernel_view", _TEXT),
            *_numbers("page_faults", "context_switches", "forks"),
            _column("calls_counted_by", _TEXT),
            *_numbers("stamping_cost", "stamping_cost_low", "stamping_cost_high"),
        ]
    ),
    "calls": pa.schema(
        [
            _column("target", _TEXT),
            _column("call", _TEXT),
            _column("per_request", _FLOAT),
        ]
    ),
    "costs": pa.schema(
        [
            _column("group", _TEXT),
            _column("name", _TEXT),
            _column("parameter", _TEXT),
            *_numbers("value_us", "low_us", "high_us"),
            _column("measure", _TEXT, null=True),
            _column("heap_mib", _FLOAT, null=True),
            _column("pages", _TEXT, null=True),
            *_numbers("call_us", "user_us", "system_us", "page_faults", "memory_mib"),
            *_numbers("syscalls", "files_opened"),
            _column("path", _TEXT, null=True),
            _column("version", _TEXT, null=True),
            _column("stamp", _TEXT, null=True),
            _column("place", _INT, null=True),
            _column("depth", _INT, null=True),
            _column("cumulative_us", _FLOAT, null=True),
            _column("rounds", _INT, null=True),
            _column("repetitions", _INT, null=True),
        ]
    ),
    "attacks": pa.schema(
        [
            _column("target", _TEXT),
            _column("attack", _TEXT),
            _column("outcome", _TEXT),
            _column("evidence", _TEXT),
            _column("family", _TEXT, null=True),
            _column("title", _TEXT, null=True),
            _column("runs_as", _TEXT, null=True),
            _column("control", _TEXT, null=True),
            _column("took_s", _FLOAT, null=True),
        ]
    ),
    "density": pa.schema(
        [
            _column("target", _TEXT),
            _column("tenants", _INT),
            _column("popularity", _TEXT),
            *_numbers("requests_per_second", "p50_ms", "p99_ms", "memory_mib"),
            _column("processes", _INT, null=True),
            _column("startup_s", _FLOAT, null=True),
        ]
    ),
}


def table_path(folder: Path, name: str) -> Path:
    """Return where a folder keeps the table."""
    return folder / f"{name}.parquet"


def read(folder: Path, name: str) -> pd.DataFrame:
    """Return a table; no rows where it was never written.

    A column of whole numbers that holds a null comes back as float64 with NaN. Raises
    IsobenchError for a file that is damaged or has other columns.
    """
    frame: pd.DataFrame = _load(folder, name).to_pandas(use_threads=False)
    return frame


def append(folder: Path, name: str, rows: Iterable[Row]) -> None:
    """Add rows to a table, durably: the file holds all of them or none.

    Parquet cannot be appended to, so the table is read and written anew; a run has hundreds of
    rows, not millions. Raises ValueError for a row with a column too many or too few or a null
    where none may be (a mistake in the program), IsobenchError where the disk refuses.
    """
    _save(folder, name, pa.concat_tables([_load(folder, name), to_table(name, rows)]))


def replace_rows(folder: Path, name: str, key: str, rows: Iterable[Row]) -> None:
    """As `append`, and rows already there with the same `key` go."""
    new = to_table(name, rows)
    old = _load(folder, name)
    gone = pc.is_in(old.column(key), value_set=new.column(key).combine_chunks())
    _save(folder, name, pa.concat_tables([old.filter(pc.invert(gone)), new]))


def to_table(name: str, rows: Iterable[Row]) -> pa.Table:
    """Return rows as a table of the declared columns. Raises ValueError as `append` does."""
    schema = SCHEMAS[name]
    rows = list(rows)
    for row in rows:
        _check_columns(name, row)
    try:
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"{name}: {error}") from error
    for field in schema:
        if not field.nullable and table.column(field.name).null_count:
            raise ValueError(f"{name}: {field.name} must not be null")
    return table


def _check_columns(name: str, row: Row) -> None:
    wanted = set(SCHEMAS[name].names)
    if unknown := sorted(row.keys() - wanted):
        raise ValueError(f"{name}: unknown column {', '.join(unknown)}")
    if missing := sorted(wanted - row.keys()):
        raise ValueError(f"{name}: missing column {', '.join(missing)}")


def _load(folder: Path, name: str) -> pa.Table:
    path = table_path(folder, name)
    if not path.exists():
        return SCHEMAS[name].empty_table()
    try:
        # Not by read_table, which starts threads: now and then they end the interpreter by SIGABRT
        # as it exits (apache/arrow issues 34314 and 50482).
        content = pa.BufferReader(path.read_bytes())
        table = pq.ParquetFile(content).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise IsobenchError(
            f"{path} is damaged or unreadable: {error}",
            hint="restore it from a copy, or measure again with another --out",
        ) from error
    return _completed(table, SCHEMAS[name], path)


def _completed(table: pa.Table, schema: pa.Schema, path: Path) -> pa.Table:
    """Return a table with all columns of the schema; those that an older version lacked are null.

    Raises IsobenchError for a column that no version has, and for a lack of one that all have.
    """
    there = set(table.schema.names)
    needed = {field.name for field in schema if not field.nullable}
    if there - set(schema.names) or needed - there:
        raise IsobenchError(
            f"{path} does not have the columns that this version of isobench reads",
            hint="read it with the version that run.json names",
        )
    columns = [
        table.column(field.name) if field.name in there else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, names=schema.names).cast(schema)


def _save(folder: Path, name: str, table: pa.Table) -> None:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    replace_file(table_path(folder, name), buffer.getvalue())
