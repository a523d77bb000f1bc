"""The child's part of a forked script; what it does for `forked` is tested there."""

import os
import sys
from pathlib import Path

import pytest

from servers.interpreter.child import REHEARSALS, Job, Rehearsal, receive, run
from servers.interpreter.context import Stage
from servers.interpreter.embedded import ScriptFailed
from tests.servers.forked import in_child


def test_a_rehearsal_leaves_everything_in_its_place(tmp_path: Path) -> None:
    entered = []

    def places() -> tuple[object, ...]:
        return Path.cwd(), sys.stdin, sys.stdout, sys.stderr, sys.argv

    def rehearsed() -> bool:
        os.chdir(tmp_path)
        before = places()
        Rehearsal(lambda: entered.append(1)).until_warm()
        return places() == before and len(entered) == REHEARSALS

    assert in_child(rehearsed)


def test_one_stage_serves_each_child_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("import sys; print(sys.argv[0], len(sys.stdin.read())); mark = 1")
    stage = Stage(1000)
    job = Job(os.fsencode(path), os.fsencode(tmp_path), {}, b"body")
    for _ in range(2):
        output, fresh = in_child(lambda: run(job, stage))
        assert output == f"{path} 4\n".encode()
        assert fresh


def test_what_is_kept_is_run_and_not_handed_back_again(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("print('kept')")
    job = Job(os.fsencode(path), os.fsencode(tmp_path), {})
    _, job.compiled = in_child(lambda: run(job, Stage(1000)))
    assert in_child(lambda: run(job, Stage(1000))) == (b"kept\n", b"")


def test_receive_keeps_what_came_too_early() -> None:
    told, tell = os.pipe()
    os.write(tell, b"12345")
    assert receive(told, b"", 3) == b"12345"
    assert receive(told, b"12345", 4) == b"12345"
    os.close(tell)
    with pytest.raises(ScriptFailed):
        receive(told, b"12345", 6)
    os.close(told)
