"""What is there before a fork is frozen, and where CPython can do so, no reference is counted."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tests.servers.live import ROOT

COUNTS = sys.version_info < (3, 12) or not getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether this CPython counts references to everything."""
immortal = pytest.mark.skipif(COUNTS, reason="this CPython has no immortal objects")


def printed(program: str) -> list[str]:
    """Run a program in a process of its own, which nobody else has to live with."""
    text = "import gc, os, sys\nfrom servers.interpreter import frozen_heap\n"
    command = [sys.executable, "-c", text + textwrap.dedent(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_everything_is_frozen_and_counted_once() -> None:
    first, again, frozen = printed("""
        print(frozen_heap.freeze(), frozen_heap.freeze(), gc.get_freeze_count())
        """)
    assert int(frozen) > 1000
    assert (int(first) == 0) is COUNTS
    assert int(again) <= int(first) // 10


@immortal
def test_references_are_no_longer_counted() -> None:
    program = """
        class Thing:
            def method(self): return "text of a method", 1.25
        things = {"key": [Thing(), (1.5, b"bytes")]}
        frozen_heap.freeze()
        code = Thing.method.__code__
        one = (things, things["key"], things["key"][0], things["key"][1], Thing, code,
               code.co_consts, code.co_consts[-1])
        copies = [list(one) for _ in range(10)]  # CPython 3.14 may count a few down and up again
        before = [sys.getrefcount(thing) for thing in one]
        copies += [list(one) for _ in range(10)]
        print(*(sys.getrefcount(thing) == count for thing, count in zip(one, before)))
        new = []
        count = sys.getrefcount(new)
        copies = [new] * 3
        print(sys.getrefcount(new) - count)
        """
    assert printed(program) == ["True"] * 8 + ["3"]


def test_what_is_frozen_outlives_collections() -> None:
    program = """
        class Thing: pass
        ring = Thing(); ring.itself = ring; ring.more = [Thing() for _ in range(1000)]
        frozen_heap.freeze()
        gc.unfreeze()
        gc.collect()
        del ring.more[500:]
        gc.collect()
        print(len(ring.more), ring.itself is ring)
        garbage = Thing(); garbage.itself = garbage
        del garbage
        print(gc.collect() > 0)
        """
    assert printed(program) == ["500", "True", "True"]


@immortal
def test_a_child_that_only_looks_has_nothing_copied() -> None:
    program = """
        things = [[number] for number in range(100_000)]
        def copied():
            answer, end = os.pipe()
            if os.fork() == 0:
                before = private()
                for thing in things:
                    kept = thing
                os.write(end, b"%d" % (private() - before))
                os._exit(0)
            os.wait()
            return int(os.read(answer, 100))
        def private():
            with open("/proc/self/smaps_rollup") as file:
                return sum(int(line.split()[1]) for line in file if "Private_Dirty" in line)
        counted = copied()
        frozen_heap.freeze()
        print(counted, copied())
        """
    counted, frozen = map(int, printed(program))
    assert frozen < counted / 4


def test_a_stage_from_before_serves_no_script_that_keeps_it() -> None:
    """Whoever counts references has to know what is not counted."""
    program = """
        from servers.interpreter.context import Stage
        stage = Stage(1000)
        def played(script):
            stage.set(b"/site/script.py", {}, b"")
            try:
                stage.perform(compile(script, "script", "exec"))
            finally:
                stage.strike()
            return stage.clear()
        kept = []
        sys.modules["keeper"] = type(sys)("keeper")
        sys.modules["keeper"].kept = kept
        fine = played("pass")
        frozen_heap.freeze()
        keeps = played("import sys, keeper; keeper.kept.append(sys.stdout)")
        print(fine, keeps)
        """
    assert printed(program) == ["True", "False"]
