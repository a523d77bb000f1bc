"""Runs code where Locust is imported: in a process that is forked from one that has done so.

    python -m tests.workloads.locust_process

The import takes a second of processor time. Each line of stdin is a list in JSON: code, then its
arguments. The answer is a line with its exit status, and what it wrote to stdout and to stderr.
"""

import json
import sys
import tempfile
import traceback

# By name, before Locust comes: gevent puts its own in their places, which need an event loop.
from os import _exit, dup2, fork, waitpid, waitstatus_to_exitcode
from typing import IO


def main() -> None:
    """Carry out what stdin says, until its end."""
    import locust  # noqa: F401 - for its effect: it has gevent replace parts of the library

    for line in sys.stdin:
        print(json.dumps(_carried_out(*json.loads(line))), flush=True)


def _carried_out(code: str, *arguments: str) -> tuple[int, str, str]:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        if (child := fork()) == 0:
            _exit(_become(code, arguments, out, err))
        status = waitstatus_to_exitcode(waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return status, out.read(), err.read()


def _become(code: str, arguments: tuple[str, ...], out: IO[str], err: IO[str]) -> int:
    from gevent import reinit

    reinit()
    dup2(out.fileno(), 1)
    dup2(err.fileno(), 2)
    sys.argv = ["-c", *arguments]
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    main()
