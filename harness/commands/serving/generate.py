"""What the command `generate` does: load generators for a master on another host."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from harness.commands import key as keys
from harness.commands.resolving import LARGEST_PORT, resolve
from harness.commands.signals import Interrupted
from harness.errors import IsobenchError
from harness.host import fingerprint
from harness.trial.remote import start_workers

MASTER_PORT: Final = 5557
"""Locust's own."""
PATIENCE_S: Final = 60.0
_EVERY_S: Final = 0.2


def start(
    master: str, key: Path | None, processes: int, console: Console, patience_s: float = PATIENCE_S
) -> None:
    """Generate load for a master until it has no more to do. Raises IsobenchError."""
    if processes < 1:
        raise IsobenchError("no load generators: --processes is 0", hint="omit --processes")
    path, _ = keys.read(key)
    host, port = address(master, MASTER_PORT)
    console.print(f"waiting for the master at {host}:{port}", highlight=False)
    _await(host, port, patience_s)
    started = start_workers(host, port, path, fingerprint.own_version(), processes)
    console.print(f"{processes} load generators for {host}:{port}; stop: Ctrl-C", highlight=False)
    try:
        _see_to_the_end(started)
    except Interrupted:
        return
    finally:
        for process in started:
            process.kill()
            process.wait()


def address(text: str, usual_port: int) -> tuple[str, int]:
    """Return host and port of HOST or HOST:PORT. Raises IsobenchError."""
    host, _, number = text.partition(":")
    port = _port(number or str(usual_port))
    if not host or port is None:
        raise IsobenchError(f"{text!r} is no address", hint="write HOST, or HOST:PORT")
    return resolve(host), port


def _port(text: str) -> int | None:
    """Return the port that a text names, None where it names none."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST_PORT))
    return int(text) if is_number and 0 < int(text) <= LARGEST_PORT else None


def _await(host: str, port: int, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            socket.create_connection((host, port), timeout=2).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise IsobenchError(
                    f"no master answers at {host}:{port}: {error.strerror or error}",
                    hint="start isobench run --target there, with --bind an address of its host "
                    "and --generators the number of generators to wait for",
                ) from error
        time.sleep(_EVERY_S)


def _see_to_the_end(started: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until all have ended. Raises IsobenchError where one has failed."""
    for process in started:
        if status := process.wait():
            what = signal.Signals(-status).name if status < 0 else f"exit status {status}"
            raise IsobenchError(
                f"a load generator ended ({what})",
                hint="see its message above"
                if status > 0
                else f"check whether memory ran out (dmesg) on {os.uname().nodename}",
            )
