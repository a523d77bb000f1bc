"""The C programs are compiled where there is a compiler; where there is none, that is said."""

import subprocess
from pathlib import Path

import pytest

from harness.costs import build
from harness.costs.build import Programs
from harness.errors import IsobenchError


def fake_compiler(folder: Path, script: str) -> None:
    compiler = folder / "cc"
    compiler.write_text(f"#!/bin/sh\n{script}\n")
    compiler.chmod(0o755)


def test_all_programs_are_made(built: Programs) -> None:
    assert all(path.exists() for path in (built.creation, built.launch, built.dynamic))


def test_the_static_program_needs_no_loader(built: Programs) -> None:
    assert built.static is not None
    # ld.so(8): the loader, where there is one, lists libraries and runs nothing.
    environment = {"LD_TRACE_LOADED_OBJECTS": "1"}
    static, dynamic = (
        subprocess.run([path, "tell"], env=environment, capture_output=True, check=True).stdout
        for path in (built.static, built.dynamic)
    )
    assert static.isdigit()
    assert b"libc" in dynamic


def test_the_least_program_says_nothing_unless_asked(built: Programs) -> None:
    for path in filter(None, (built.static, built.dynamic)):
        assert subprocess.run([path], capture_output=True, check=True).stdout == b""
        told = subprocess.run([path, "tell"], capture_output=True, check=True).stdout
        assert int(told) > 0


def test_without_a_compiler_there_is_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("workloads.load.clients.library.find_spec", lambda name: None)
    with pytest.raises(IsobenchError, match="no C compiler") as refused:
        build.build(tmp_path)
    assert "apt-get install gcc" in refused.value.hint


def test_a_compiler_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_compiler(tmp_path, "echo 'fatal error: stdio.h' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(IsobenchError, match=r"cannot compile creation\.c: fatal error: stdio\.h"):
        build.build(tmp_path)


def test_without_a_static_libc_the_rest_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_compiler(
        tmp_path, 'case " $* " in *" -static "*) echo "cannot find -lc" >&2; exit 1;; esac'
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    found = build.build(tmp_path)
    assert found.static is None
    assert [one.reason for one in found.missing] == [
        f"{tmp_path}/cc cannot link statically: cannot find -lc"
    ]
