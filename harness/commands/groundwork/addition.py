"""What a command adds to a results folder: made once, finished, or interrupted and resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.commands.groundwork.folder import now
from harness.errors import IsobenchError
from harness.results.atomic_file import refusal
from harness.results.folder import ResultsFolder


@dataclass(frozen=True)
class Addition:
    """The tables of a command, and its entry in run.json, in a run's folder or one of its own.

    `results` is what they are called, in the plural. A `resumable` command can be interrupted and
    continues with --resume. `typed` is the command as it is typed, where that is another word.
    """

    command: str
    tables: tuple[str, ...]
    results: str
    resumable: bool = False
    typed: str | None = None

    def must_have_room(self, path: Path) -> None:
        """Raise IsobenchError where the command can write nothing to this folder."""
        if not _is_there(path / "run.json"):
            ResultsFolder.must_be_free(path)
            return
        folder = ResultsFolder.open(path)
        if self.resumable and self._is_interrupted(folder):
            raise IsobenchError(
                f"{path} has interrupted {self.results}",
                hint=f"continue them: isobench {self.typed or self.command} --resume {path}",
            )
        if not all(folder.table(name).empty for name in self.tables):
            raise IsobenchError(
                f"{path} already has {self.results}, which are never overwritten",
                hint="choose another folder with --out",
            )

    def interrupted(self, folder: ResultsFolder) -> Mapping[str, Any]:
        """Return the entry of an interrupted command. Raises IsobenchError if there is none."""
        if not self._is_interrupted(folder):
            raise IsobenchError(
                f"{folder.path} has no interrupted {self.results}",
                hint="start again in another folder: "
                f"isobench {self.typed or self.command} --out DIR",
            )
        entry: Mapping[str, Any] = folder.manifest.also[self.command]
        return entry

    def _is_interrupted(self, folder: ResultsFolder) -> bool:
        return folder.manifest.also.get(self.command, {}).get("finished_at", "") is None

    def finish(self, folder: ResultsFolder) -> None:
        """Note that the command is done; and with it the folder, if it was made for it."""
        folder.note(self.command, {**folder.manifest.also[self.command], "finished_at": now()})
        if not folder.manifest.plan and folder.manifest.finished_at is None:
            folder.finish()

    @contextmanager
    def under_way(self, folder: ResultsFolder, console: Console) -> Iterator[None]:
        """Finish with the work inside; where that is broken off, say how to continue it."""
        try:
            yield
        except BaseException:
            again = f"isobench {self.typed or self.command} --resume {folder.path}"
            console.print(f"stopped: continue with: {again}", soft_wrap=True)
            raise
        self.finish(folder)


def _is_there(file: Path) -> bool:
    """Return whether there is a file. Raises IsobenchError where that cannot be told."""
    try:
        return file.exists()
    except OSError as error:  # a name that is too long, say
        raise refusal(file.parent, error) from error
