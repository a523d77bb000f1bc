"""The front in C: it reads as the front in Python does, and is compiled once."""

import os
import shutil
from pathlib import Path

import pytest

from servers.errors import Unavailable
from servers.modes.router import compiled
from tests.servers.modes.router.fuzzing import Case, Fuzzed, differences, expected
from tests.servers.modes.test_router import REFUSED

needs_sanitizers = pytest.mark.skipif(
    not (shutil.which("gcc") or shutil.which("clang")), reason="sanitizers take gcc or clang"
)


@pytest.fixture(name="fuzzed", scope="module")
def _fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Fuzzed:
    return Fuzzed(tmp_path_factory.mktemp("fuzzed"))


@needs_sanitizers
def test_arbitrary_bytes_are_read_as_the_servers_own_parsers_read_them(fuzzed: Fuzzed) -> None:
    count, found = differences(fuzzed, seconds=20, seed=18, most=4000)
    assert found == []
    assert count


@needs_sanitizers
def test_ambiguous_requests_are_read_alike_however_they_are_cut(fuzzed: Fuzzed) -> None:
    cases = [
        Case(b"Q", 0, pieces)
        for data, _ in REFUSED.values()
        for pieces in ((data,), tuple(bytes([byte]) for byte in data[:3000]))
    ]
    for case, outcome in zip(cases, fuzzed.outcomes(cases), strict=True):
        assert outcome == expected(case)


@needs_sanitizers
def test_what_is_read_differently_is_found(fuzzed: Fuzzed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison itself, with a reference that is wrong."""
    monkeypatch.setattr("tests.servers.modes.router.fuzzing.expected", lambda _: ())
    assert differences(fuzzed, seconds=20, seed=18, most=400)[1]


def test_the_program_is_compiled_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    monkeypatch.setattr(compiled, "_place", lambda _: str(kept))
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    os.close(compiled.program("/nonexistent"))
    assert kept.stat().st_mode & 0o777 == 0o755
    monkeypatch.setenv("PATH", "/nowhere")
    os.close(compiled.program("/nonexistent"))


def test_a_run_keeps_the_program_in_its_own_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    os.close(compiled.program("/nonexistent", str(tmp_path)))
    (kept,) = tmp_path.iterdir()
    monkeypatch.setenv("PATH", "/nowhere")
    compiled.check_host(str(tmp_path))
    program = compiled.program("/nonexistent", str(tmp_path))
    assert os.fstat(program).st_ino == kept.stat().st_ino
    os.close(program)


def test_a_kept_program_that_others_can_write_is_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"")
    kept.chmod(0o777)
    monkeypatch.setattr(compiled, "_place", lambda _: str(kept))
    assert compiled._kept("") is None


def test_where_nothing_may_be_kept_the_program_is_compiled_and_has_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_place", lambda _: str(tmp_path / "no" / "such" / "folder"))
    program = compiled.program(str(tmp_path))
    assert os.fstat(program).st_nlink == 0
    os.close(program)


def test_without_a_compiler_the_hint_names_the_other_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_place", lambda _: str(tmp_path / "kept"))
    monkeypatch.setattr("servers.host_checks._zig", lambda: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unavailable) as lacks:
        compiled.check_host()
    assert "router:front=python" in lacks.value.hint


def test_what_the_compiler_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_place", lambda _: str(tmp_path / "kept"))
    monkeypatch.setattr(compiled, "_FLAGS", ("--no-such-option",))
    with pytest.raises(Unavailable, match="no-such-option"):
        compiled.program(str(tmp_path))
