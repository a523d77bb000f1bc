"""A process that somebody else has forked: its end is seen once, by whoever waits."""

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from harness.target.others_child import OthersChild, is_readable

Started = Callable[[str], OthersChild]


@pytest.fixture(name="start")
def _start() -> Iterator[Started]:
    with ExitStack() as stack:

        def start(program: str) -> OthersChild:
            commands, words = os.pipe(), os.pipe()
            real = subprocess.Popen(["sh", "-c", program], stdin=commands[0], stdout=words[1])
            stack.callback(real.wait)
            stack.callback(real.kill)
            os.close(commands[0])
            os.close(words[1])
            sign = os.pidfd_open(real.pid)
            stack.callback(os.close, sign)
            asked: list[int] = []

            def status() -> int:
                asked.append(real.pid)
                assert len(asked) == 1, "its parent knows it once only"
                return real.wait()

            found = OthersChild("a program", real.pid, commands[1], words[0], sign, status)
            assert found.stdin is not None
            assert found.stdout is not None
            stack.enter_context(found.stdin)
            stack.enter_context(found.stdout)
            return found

        yield start


def test_it_is_spoken_to_as_a_child_is(start: Started) -> None:
    process = start("read word; echo $word; exit 3")
    assert process.poll() is None
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\udcff\n")  # bytes that are no text come through
    process.stdin.flush()
    assert process.stdout.read() == "\udcff\n"
    assert process.wait(60) == process.poll() == 3
    process.kill()  # of nobody


def test_who_asks_does_not_wait_for_who_waits(start: Started) -> None:
    process = start("read word")
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(process.wait, 60) for _ in range(4)]
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired, match="a program"):
            process.wait(0.01)
        process.kill()
        assert {one.result() for one in waiting} == {-9}


def test_what_can_be_read_is_waited_for(start: Started) -> None:
    ours, theirs = os.pipe()
    try:
        assert not is_readable(ours, 0.0)
        os.write(theirs, b"x")
        assert is_readable(ours, None)
    finally:
        os.close(ours)
        os.close(theirs)
