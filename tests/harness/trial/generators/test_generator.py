"""The generator as a process: its events are told apart by trial, and its end is noticed."""

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import IsobenchError
from harness.trial.generators.generator import Generator, GeneratorFailed, LoadFailed
from workloads.load.clients import library

READY = {"event": "ready", "locust": "2.32", "gevent": "24.11", "pid": 1}


def events(trial: str, *names: str) -> list[dict[str, object]]:
    return [{"event": name, "trial": trial, "at": 1.5} for name in names]


Play = Callable[..., Generator]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Makes a generator that answers each command with the next of the given lists of events."""

    def with_answers(*answers: list[dict[str, object]]) -> Generator:
        program = tmp_path / "generator"
        lines = ["".join(json.dumps(event) + "\n" for event in answer) for answer in answers]
        program.write_text(
            f"#!{sys.executable}\nimport sys\nsys.stdout.write({json.dumps(READY)!r} + '\\n')\n"
            "sys.stdout.flush()\n"
            f"for answer, line in zip({lines!r}, sys.stdin):\n"
            "    sys.stdout.write(answer); sys.stdout.flush()\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(sys, "executable", str(program))
        return Generator(sorted(os.sched_getaffinity(0)), tmp_path / "generator.log")

    return with_answers


def test_a_trial_is_told_as_it_happens(play: Play) -> None:
    seen: list[tuple[str, float]] = []
    with play(events("a", "measuring", "measured", "done")) as generator:
        assert generator.versions == {"locust": "2.32", "gevent": "24.11"}
        done = generator.trial({"trial": "a"}, lambda event, at: seen.append((event, at)))
    assert done["event"] == "done"
    assert seen == [("measuring", 1.5), ("measured", 1.5)]


def test_what_comes_late_of_a_broken_off_trial_is_not_taken_for_the_next(play: Play) -> None:
    def break_off(event: str, at: float) -> None:
        raise ZeroDivisionError

    seen: list[str] = []
    first = events("a", "measuring", "measured", "done")
    second = events("b", "measuring", "measured", "done")
    with play(first, second) as generator:
        with pytest.raises(ZeroDivisionError):
            generator.trial({"trial": "a"}, break_off)
        done = generator.trial({"trial": "b"}, lambda event, at: seen.append(event))
    assert done["trial"] == "b"
    assert seen == ["measuring", "measured"]


def test_a_failed_verification_comes_with_its_evidence(play: Play) -> None:
    failed = {"event": "failed", "reason": "r", "hint": "h", "evidence": {"status": 500}}
    with (
        play([failed | {"trial": "a"}]) as generator,
        pytest.raises(LoadFailed, match="r") as caught,
    ):
        generator.trial({"trial": "a"}, lambda event, at: None)
    assert (caught.value.hint, caught.value.evidence) == ("h", {"status": 500})


def test_a_command_that_it_cannot_read_does_not_leave_us_waiting(play: Play) -> None:
    failed: dict[str, object] = {"event": "failed", "reason": "r", "hint": "h", "evidence": None}
    with play([failed]) as generator, pytest.raises(LoadFailed):
        generator.trial({"trial": "a"}, lambda event, at: None)


def test_a_generator_that_has_ended_is_said_to_have(play: Play) -> None:
    with play(events("a", "measuring")) as generator:
        for name in ("a", "b"):
            with pytest.raises(GeneratorFailed, match="exit status 0") as caught:
                generator.trial({"trial": name}, lambda event, at: None)
            assert caught.value.hint


def test_the_compiled_client_is_built_when_it_is_asked_for(play: Play, tmp_path: Path) -> None:
    with play(events("a", "done"), events("b", "done")) as generator:
        generator.trial({"trial": "a", "client": "lean"}, lambda event, at: None)
        assert not (tmp_path / "closed_loop.so").exists()
        generator.trial({"trial": "b", "client": "compiled"}, lambda event, at: None)
        assert (tmp_path / "closed_loop.so").exists()


def test_a_compiler_that_has_gone_since_is_said(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    with play(events("a", "done")) as generator:
        monkeypatch.setenv("PATH", "/nowhere")
        monkeypatch.setattr(library, "find_spec", lambda name: None)
        with pytest.raises(IsobenchError, match="no C compiler") as refused:
            generator.trial({"trial": "a", "client": "compiled"}, lambda event, at: None)
    assert "--client lean" in refused.value.hint
