"""A setuid wrapper: found where there is one, and called as the server's user."""

import os
from pathlib import Path

import pytest

from harness.attack.errors import SceneFailed
from harness.attack.scene import wrapper
from harness.host import proc
from harness.host.proc import Cast
from tests.harness.live import needs_root
from workloads.proof import Identity

WWW = Identity(46_930, 46_930)


@pytest.fixture(name="cast")
def _cast() -> Cast:
    """A server that lives in no namespaces of its own; this process plays its master."""
    master = proc.look(os.getpid())
    assert master is not None
    return Cast(master, (), ())


def test_only_a_program_with_the_setuid_bit_is_found(cast: Cast, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "wrapper"
    program.touch(0o755)
    assert wrapper.find(cast, tmp_path) == ""
    program.chmod(0o4755)
    assert wrapper.find(cast, tmp_path) == str(program)


@needs_root
def test_a_call_runs_as_the_servers_user_and_its_token_says_done(
    cast: Cast, tmp_path: Path
) -> None:
    echo = ["sh", "-c", 'echo token-1 "$(id -u)"']
    said = wrapper.call(cast, WWW, Path("/"), echo, "token-1")
    assert said == "isobench-attack done\ntoken-1 46930"


@needs_root
def test_a_refusal_is_told_with_the_exit_status(cast: Cast) -> None:
    refused = ["sh", "-c", "echo not you >&2; exit 3"]
    said = wrapper.call(cast, WWW, Path("/"), refused, "token-1")
    assert said.startswith("isobench-attack refused exit 3: not you\n")


@needs_root
def test_a_wrapper_that_cannot_be_run_at_all_is_no_refusal(cast: Cast) -> None:
    with pytest.raises(SceneFailed, match="setpriv"):
        wrapper.call(cast, WWW, Path("/"), ["/nowhere/wrapper"], "token-1")


@needs_root
def test_a_program_of_the_scene_says_the_token_and_who_runs_it(tmp_path: Path) -> None:
    path = wrapper.write_program(tmp_path / "program.py", "token-1", WWW.uid, WWW.gid, 0o750)
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (WWW.uid, WWW.gid, 0o750)
    assert "print('token-1', os.getuid())" in path.read_text()
