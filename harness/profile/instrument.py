"""A copy of a script that tells when it began, when it had its imports, and when it was done.

The copy ends its answer with one line more, `isobench stamps` and the three times (CLOCK_MONOTONIC,
nanoseconds). So an executed script reports in the same way as one that the server runs itself,
through any wrapper and under any identity.
"""

from __future__ import annotations

import ast
from itertools import takewhile
from typing import Final

_CLOCK: Final = "import time as _isobench_time; _isobench_first = _isobench_time.monotonic_ns()"
_IMPORTED: Final = "_isobench_imported = _isobench_time.monotonic_ns()"
_TELL: Final = (
    'print("\\nisobench stamps", '
    "_isobench_first, _isobench_imported, _isobench_time.monotonic_ns())"
)
_MARK: Final = b"\nisobench stamps "

POINTS: Final = ("first line", "imported", "printed")


def traced(source: str) -> str:
    """Return the copy of a Python script. Its imports are those up to the first other statement.

    Raises SyntaxError for what is no Python.
    """
    lines = source.splitlines()
    statements = list(ast.parse(source).body)
    start = _last_line(_header(statements))
    imported = _last_line(_leading_imports(statements)) or start
    lines.insert(imported, _IMPORTED)
    lines.insert(start, _CLOCK)
    return "\n".join([*lines, _TELL, ""])


def stamps_in(body: bytes) -> dict[str, int]:
    """Return the times by their points that an answer's body ends with; nothing if it does not."""
    _, mark, rest = body.rpartition(_MARK)
    times = rest.split()
    if not mark or len(times) != len(POINTS) or not all(time.isdigit() for time in times):
        return {}
    return dict(zip(POINTS, map(int, times), strict=True))


def without_stamps(body: bytes) -> bytes:
    """Return an answer's body as the script itself prints it."""
    return body.rpartition(_MARK)[0] if _MARK in body else body


def _last_line(statements: list[ast.stmt]) -> int:
    return max((statement.end_lineno or 0 for statement in statements), default=0)


def _header(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Return what has to stand before all else: the docstring, and imports from the future."""
    return [
        statement
        for number, statement in enumerate(statements)
        if (number == 0 and _is_text(statement)) or _is_from_future(statement)
    ]


def _leading_imports(statements: list[ast.stmt]) -> list[ast.stmt]:
    first = 1 if statements and _is_text(statements[0]) else 0
    return list(takewhile(_is_import, statements[first:]))


def _is_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import | ast.ImportFrom)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_from_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
