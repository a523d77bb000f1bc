"""Tables take the declared rows and no others."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, make_dataclass
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


# Files and columns are a contract with other people's tools; "?" marks where a null may be.
COLUMNS = {
    "trials": """
        trial:text block:int position:int target:text kind:text runs_as:text workload:text
        load:text connection:text tenants:int popularity:text started_at:text measured_s:float?
        requests:int? errors:int? first_error:text? requests_per_second:float? mean_ms:float?
        p50_ms:float? p90_ms:float? p99_ms:float? max_ms:float? served:int? sent:int?
        server_cpu_us_per_request:float? server_cpu_source:text? forks_per_request:float?
        context_switches_per_request:float? page_faults_per_request:float? aborts:int?
        memory_mib:float?
        processes:int? generator_cpu_share:float? steal_share:float? startup_s:float?
        verdict:text offered_per_second:float? late_worst_ms:float? late:int? dropped:int?
        attempt:int? took_s:float? answered:int? verified:int? self_checks:text? steady:text?
        steady_from_s:float? discarded_s:float? disturbed:text? foreign_cpu_share:float?
        pressure_share:float? spin_before:float? spin_after:float? runnable_before:int?
        runnable_after:int? env_bytes:int? hash_seed:int? port:int? tenant_order:text?
        interleaved_ratio:float? slices:int? slice_s:float? asked_first:int?
    """,
    "latency": """
        trial:text target:text workload:text load:text connection:text block:int clock:text
        count:int min_us:float max_us:float hdr:text
    """,
    "crosscheck": """
        target:text workload:text load:text connection:text tenants:int popularity:text
        tool:text rounds:int own_per_second:float? tool_per_second:float? rate_difference:float?
        own_p50_ms:float? tool_p50_ms:float? own_p99_ms:float? tool_p99_ms:float?
        tool_errors:int? note:text?
    """,
    "phases": """
        target:text phase:text order:int median_us:float? p90_us:float? share:float? part:text
    """,
    "profiles": """
        target:text workload:text tenants:int requests:int disordered:int service_us:float?
        accounted:float? missing:text no_kernel_view:text page_faults:float?
        context_switches:float? forks:float? calls_counted_by:text stamping_cost:float?
        stamping_cost_low:float? stamping_cost_high:float?
    """,
    "calls": """
        target:text call:text per_request:float
    """,
    "costs": """
        group:text name:text parameter:text value_us:float? low_us:float? high_us:float?
        measure:text? heap_mib:float? pages:text? call_us:float? user_us:float? system_us:float?
        page_faults:float? memory_mib:float? syscalls:float? files_opened:float? path:text?
        version:text? stamp:text? place:int? depth:int? cumulative_us:float? rounds:int?
        repetitions:int?
    """,
    "attacks": """
        target:text attack:text outcome:text evidence:text family:text? title:text?
        runs_as:text? control:text? took_s:float? language:text? beside:text? precedent:text?
    """,
    "density": """
        target:text tenants:int popularity:text requests_per_second:float? p50_ms:float?
        p99_ms:float? memory_mib:float? processes:int? startup_s:float? active_tenants:int?
        idle_memory_mib:float? available_mib:float? cpu_us_per_request:float? requests:int?
        errors:int? worker_starts:int? evictions:int? code_cache_hit_rate:float? seconds:float?
        note:text
    """,
    "coldstarts": """
        target:text state:text page_cache:text requests:int p50_ms:float? p99_ms:float?
        low_ms:float? high_ms:float? note:text
    """,
    "neighbour": """
        target:text runs_as:text noise:text limits:text block:int position:int
        offered_per_second:float? measured_s:float? requests:int? p50_ms:float? p99_ms:float?
        errors:int? dropped:int? first_error:text? noise_done:int? noise_refused:int?
        first_refusal:text? generator_waited_share:float? hdr:text? verdict:text
    """,
    "mechanisms": """
        block:int mechanism:text workload:text load:text connection:text requests:int?
        cpu_us_per_request:float? page_faults_per_request:float?
        context_switches_per_request:float? baseline_cpu_us_per_request:float?
        baseline_page_faults_per_request:float? baseline_context_switches_per_request:float?
        took_s:float? verdict:text
    """,
    "slo": """
        target:text runs_as:text promise:text block:int outcome:text found_per_second:float?
        step:int load:text verdict:text workload:text connection:text tenants:int
        measured_s:float? requests:int? wanted_requests:int? offered_per_second:float?
        answered_per_second:float? measure:text? value:float? margin:float? p50_ms:float?
        p99_ms:float? errors:int? dropped:int? first_error:text?
        server_cpu_us_per_request:float? server_cores:int generator_busy_share:float?
        rate_per_tenant:float? hdr:text?
    """,
}
KINDS = {pa.string(): "text", pa.int64(): "int", pa.float64(): "float"}


def test_files_have_the_columns_that_were_promised() -> None:
    assert list(tables.SCHEMAS) == list(COLUMNS)
    for name, promised in COLUMNS.items():
        found = [
            f"{field.name}:{KINDS[field.type]}{'?' if field.nullable else ''}"
            for field in tables.SCHEMAS[name]
        ]
        assert found == promised.split(), name


def test_a_field_of_a_row_is_a_column_of_its_file() -> None:
    @dataclass
    class Row:
        target: str
        share: float | None
        requests: int = 0

    assert tables.schema_of(Row) == pa.schema(
        [
            pa.field("target", pa.string(), nullable=False),
            pa.field("share", pa.float64(), nullable=True),
            pa.field("requests", pa.int64(), nullable=False),
        ]
    )


@pytest.mark.parametrize("kind", [list, int | str])
def test_a_field_that_no_column_holds(kind: object) -> None:
    row = make_dataclass("Row", [("blocks", kind)])
    with pytest.raises(TypeError, match="blocks"):
        tables.schema_of(row)


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
        ({"target": "dso"}, "missing column attack, beside, control"),
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


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("block", pa.nulls(1, pa.int64())),
        ("target", pa.nulls(1, pa.string())),
        ("verdict", pa.nulls(1)),
        ("block", pa.array(["x"])),
        ("block", pa.array([1.5])),
        ("block", pa.array([float("nan")])),
        ("block", pa.array([2**63], pa.uint64())),
        ("target", pa.array([["x"]])),
        ("target", pa.array([b"\xff"])),
        ("target", pa.array([b"\xff"]).view(pa.string())),
        ("p99_ms", pa.array([{"a": 1}])),
    ],
)
def test_a_column_of_other_values_is_damage(tmp_path: Path, column: str, values: pa.Array) -> None:
    fields = {field.name: field for field in tables.SCHEMAS["trials"]}
    whole = {
        name: pa.array(["x" if field.type == pa.string() else 1], field.type)
        for name, field in fields.items()
    }
    pq.write_table(pa.table({**whole, column: values}), tmp_path / "trials.parquet")
    with pytest.raises(IsobenchError, match=r"trials\.parquet is damaged") as caught:
        tables.read(tmp_path, "trials")
    assert caught.value.hint


def test_a_column_that_is_there_twice_is_damage(tmp_path: Path) -> None:
    whole = tables.SCHEMAS["trials"].empty_table()
    twice = whole.append_column("block", whole["block"])
    pq.write_table(twice, tmp_path / "trials.parquet")
    with pytest.raises(IsobenchError, match=r"trials\.parquet is damaged"):
        tables.read(tmp_path, "trials")


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
    text = (Path(__file__).parents[3] / "docs" / "results.md").read_text()
    for name, schema in tables.SCHEMAS.items():
        assert f"`{name}.parquet`" in text
        for column in schema.names:
            assert f"`{column}`" in text, column
