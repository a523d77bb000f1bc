"""Programs in C are compiled whole or not at all, and kept where nobody else can write."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from servers import c_programs
from servers.errors import Unavailable
from tests.servers.live import ROOT


@pytest.fixture(name="source")
def _source(tmp_path: Path) -> Path:
    source = tmp_path / "seven.c"
    source.write_text("int main(void) { return 7; }\n")
    return source


def test_everybody_can_execute_what_is_compiled(source: Path) -> None:
    target = source.with_suffix("")
    mask = os.umask(0o077)
    try:
        c_programs.compile_to(str(target), str(source))
    finally:
        os.umask(mask)
    assert target.stat().st_mode & 0o777 == 0o755
    assert subprocess.run([target], check=False).returncode == 7
    assert sorted(path.name for path in source.parent.iterdir()) == ["seven", "seven.c"]


def test_what_the_compiler_says_is_told_and_nothing_is_left(source: Path) -> None:
    source.write_text("int main(")
    with pytest.raises(Unavailable, match=r"cannot compile seven\.c: .*seven\.c:1") as failed:
        c_programs.compile_to(str(source.with_suffix("")), str(source))
    assert "C compiler" in failed.value.hint
    assert [path.name for path in source.parent.iterdir()] == ["seven.c"]


def test_a_compiler_that_is_killed_is_no_success(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c_programs, "_compiled", lambda *_: os.kill(os.getpid(), 9))
    with pytest.raises(Unavailable, match=r"seven\.c failed"):
        c_programs.compile_to(str(source.with_suffix("")), str(source))


def test_the_server_itself_loads_nothing_for_it(source: Path) -> None:
    words = (
        "import sys; from servers import c_programs\n"
        "before = set(sys.modules)\n"
        f"c_programs.compile_to({str(source.with_suffix(''))!r}, {str(source)!r})\n"
        "assert set(sys.modules) == before, set(sys.modules) - before\n"
    )
    subprocess.run([sys.executable, "-c", words], cwd=ROOT, check=True)


def test_a_kept_program_goes_by_what_it_is_made_of(source: Path) -> None:
    def place(*flags: str) -> str:
        return c_programs.place("/kept", "seven", [str(source)], flags)

    plain, optimized = place(), place("-O2")
    source.write_text("int main(void) { return 8; }\n")
    assert len({plain, optimized, place()}) == 3
    assert place().startswith("/kept/seven-")
