"""The key that the hosts of one measurement share."""

from __future__ import annotations

from pathlib import Path

from harness.errors import IsobenchError
from workloads import credential


def read(path: Path | None) -> tuple[Path, bytes]:
    """Return where the key is, and the key. Raises IsobenchError where none is named.

    Raises WorkloadError where the file has none.
    """
    if path is None:
        raise IsobenchError(
            "no key: hosts that measure together must share one",
            hint="create one with isobench serve --probe PORT --key FILE, copy it here, add --key",
        )
    return path.resolve(), credential.read_key(path)


def read_or_make(path: Path | None) -> tuple[Path, bytes]:
    """As `read`, and make the key where the file is not there yet."""
    if path is not None and not path.exists():
        try:
            credential.make_key(path)
        except OSError as error:
            raise IsobenchError(
                f"cannot write the key {path}: {error.strerror}", hint="name another file"
            ) from error
    return read(path)
