"""Bystanders: a file and a process that no attack has any business with, to see that none did.

They have the attacker's own uid, so that nothing but the scene's walls protects them: the server's
pid namespace, and that no script learns of them.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from harness.host import proc

_STOPPED = ("T", "t")


class Canary:
    """A context: on entering file and process are there, on leaving the process is gone."""

    def __init__(self, directory: Path, uid: int) -> None:
        self._file = directory / "bystander"
        self._uid = uid

    def __enter__(self) -> Self:
        self._file.write_text(secrets.token_hex(16))
        os.chown(self._file, self._uid, self._uid)
        self._before = self._state_of_the_file()
        # It ends with its input, which is to say with the harness, whatever ends that.
        self._process = subprocess.Popen(
            ["cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            user=self._uid,
            group=self._uid,
            extra_groups=[],
            cwd="/",
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """The process that stands by."""
        return self._process.pid

    def harm(self) -> Iterator[str]:
        """Yield, in words, what has been done to it."""
        state = proc.state_of(self.pid)
        if state in ("", *_STOPPED) or proc.status_of(self.pid).get("TracerPid", "0") != "0":
            yield f"a process outside of the server was touched: its state is {state or 'ended'!r}"
        if self._state_of_the_file() != self._before:
            yield f"a file outside of the sites was touched: {self._file}"

    def _state_of_the_file(self) -> tuple[object, ...]:
        try:
            status = self._file.stat()
            return self._file.read_bytes(), status.st_mode, status.st_uid, status.st_ctime_ns
        except OSError as error:
            return (str(error),)
