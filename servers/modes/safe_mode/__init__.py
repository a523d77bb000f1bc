"""`safe_mode`: as `dso`, with a guard in the language that compares owners and confines paths.

PHP had it from version 3 to 5.3, and then gave it up: a language has too many ways to a file for
each to remember the question. Python's audit hooks ask it in one place, and still not everywhere.
"""

from __future__ import annotations

from types import CodeType

from servers.http import Request
from servers.interpreter.context import Stage
from servers.interpreter.embedded import Embedded, forget_origin
from servers.modes import dso
from servers.modes.safe_mode.language_guard import LanguageGuard


class Mode(dso.Mode):
    """Runs the script in the worker, as www; an audit hook limits it to its owner's files."""

    precedent = "PHP safe_mode and open_basedir"
    recipe = ("audit_hook",)
    guarded = True

    def child_init(self) -> None:
        """Become www for good, and set up the guard."""
        super().child_init()
        self._guard = LanguageGuard()
        limits = self.setting.limits
        self._interpreter = _GuardedScripts(limits.output, self.setting.code_cache, self._guard)

    def cleanup(self, request: Request) -> None:
        """Switch the guard off, where the end of the script's time came in between."""
        self._guard.leave()


class _GuardedScripts(Embedded):
    """An embedded interpreter whose scripts run behind a guard."""

    def __init__(self, output_limit: int, code_cache: bool, guard: LanguageGuard) -> None:
        super().__init__(output_limit, code_cache)
        self._guard = guard

    def perform(self, stage: Stage, code: CodeType, request: Request) -> bytes:
        """Run a script's code, and finalise what it leaves in its frames, while the guard is on."""
        self._guard.enter(request.script.site)
        try:
            return stage.perform(code)
        except BaseException as error:
            forget_origin(error)
            raise
        finally:
            self._guard.leave()
