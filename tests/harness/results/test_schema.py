"""Tables take the declared rows and no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import IsobenchError
from harness.results import schema as tables

ATTACK = dict.fromkeys(tables.SCHEMAS["attacks"].names) | {
    "target": "dso",
    "attack": "read",
    "outcome": "succeeded",
    "evidence": "x",
}


def test_rows_are_added_to_those_before(tmp_path: Path) -> None:
    tables.append(tmp_path, "attacks", [ATTACK])
    tables.append(tmp_path, "attacks", [ATTACK | {"target": "cgi"}])
    assert tables.read(tmp_path, "attacks")["target"].tolist() == ["dso", "cgi"]
    assert [file.name for file in tmp_path.iterdir()] == ["attacks.parquet"]


def test_a_table_never_written_has_its_columns(tmp_path: Path) -> None:
    frame = tables.read(tmp_path, "trials")
    assert frame.empty
    assert list(frame.columns) == tables.SCHEMAS["trials"].names


def test_rows_of_the_same_key_are_replaced(tmp_path: Path) -> None:
    tables.append(tmp_path, "attacks", [ATTACK, ATTACK | {"target": "cgi"}])
    tables.replace_rows(tmp_path, "attacks", "target", [ATTACK | {"outcome": "blocked"}])
    frame = tables.read(tmp_path, "attacks").set_index("target")
    assert frame["outcome"].to_dict() == {"cgi": "succeeded", "dso": "blocked"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ATTACK | {"colour": "red"}, "unknown column colour"),
        ({"target": "dso"}, "missing column attack, control, evidence"),
        (ATTACK | {"target": None}, "target must not be null"),
        (ATTACK | {"target": 3}, "attacks"),
    ],
)
def test_strict_rows(tmp_path: Path, row: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tables.append(tmp_path, "attacks", [row])
    assert not (tmp_path / "attacks.parquet").exists()


def test_no_thread_of_pyarrows_is_left(tmp_path: Path) -> None:
    """In a process of its own; such a thread now and then aborts the interpreter at its exit."""
    tables.append(tmp_path, "attacks", [ATTACK])
    source = f"""
import os
from pathlib import Path
from harness.results import schema as tables
threads = len(os.listdir("/proc/self/task"))
assert len(tables.read(Path({str(tmp_path)!r}), "attacks"))
tables.append(Path({str(tmp_path)!r}), "attacks", [])
print(len(os.listdir("/proc/self/task")) - threads)
"""
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout == "0\n"


def test_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "trials.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(IsobenchError, match="damaged") as caught:
        tables.read(tmp_path, "trials")
    assert caught.value.hint


def test_other_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "trials.parquet")
    with pytest.raises(IsobenchError, match="columns"):
        tables.read(tmp_path, "trials")


def test_columns_that_an_older_version_lacked_read_as_null(tmp_path: Path) -> None:
    schema = tables.SCHEMAS["trials"]
    needed = [field for field in schema if not field.nullable]
    values = {field.name: "x" if field.type == pa.string() else 1 for field in needed}
    old = pa.Table.from_pylist([values], schema=pa.schema(needed))
    pq.write_table(old, tmp_path / "trials.parquet")
    frame = tables.read(tmp_path, "trials")
    assert list(frame.columns) == schema.names
    assert frame["block"].tolist() == [1]
    assert frame["requests_per_second"].isna().all()
    tables.append(tmp_path, "trials", [dict.fromkeys(schema.names) | values])
    assert len(tables.read(tmp_path, "trials")) == 2


def test_every_column_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "results.md").read_text()
    for name, schema in tables.SCHEMAS.items():
        assert f"`{name}.parquet`" in text
        for column in schema.names:
            assert f"`{column}`" in text, column
