"""The tables of a results folder: their columns, and how rows get into them.

The columns are those that the classes of `rows` declare.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import get_args, get_type_hints

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.errors import IsobenchError
from harness.results.atomic_file import content_of, replace_file
from harness.results.rows import TABLES

Row = Mapping[str, object]

_KINDS: Mapping[type, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64()}


def schema_of(row: type) -> pa.Schema:
    """Return the schema of a table whose rows are of this dataclass: a column for each field.

    Raises TypeError for a field that is neither text, whole number nor number, with or without
    `| None`.
    """
    hints = get_type_hints(row)
    return pa.schema([_column(field.name, hints[field.name]) for field in fields(row)])


def _column(name: str, hint: object) -> pa.Field:
    kinds = set(get_args(hint)) or {hint}
    known = [_KINDS[kind] for kind in kinds & _KINDS.keys()]
    if len(known) != 1 or kinds - _KINDS.keys() - {NoneType}:
        raise TypeError(f"{name}: no column holds {hint}")
    return pa.field(name, known[0], nullable=NoneType in kinds)


SCHEMAS: Mapping[str, pa.Schema] = {name: schema_of(row) for name, row in TABLES.items()}


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
        content = pa.BufferReader(content_of(path))
        table = pq.ParquetFile(content).read(use_threads=False)
        completed = _completed(table, SCHEMAS[name], path)
        completed.validate(full=True)  # texts that are none
    # Of a null where none may be, a value of another type, a column that is there twice.
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise IsobenchError(
            f"{path} is damaged or unreadable: {error}",
            hint="restore it from a copy, or measure again with another --out",
        ) from error
    return completed


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
