"""The lines of a log, plain or compressed by gzip, read once and never held whole."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from workloads.errors import WorkloadError

LONGEST_LINE = 131_072
"""In bytes. Apache's own limit is 8190 for each of request line, referer and user agent (core,
LimitRequestLine and LimitRequestFieldSize), and each byte may be logged as four."""

_BUFFER = 1 << 18
_HOPELESS = 1 << 26
"""In bytes. A few kilobytes of gzip can be a line of gigabytes, which no log has."""
_GZIP = b"\x1f\x8b"
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}
_ANOTHER = "name an access log in the combined format, plain or compressed by gzip"


class _Hashed(io.RawIOBase):
    """A raw file that keeps the digest and the number of the bytes that were read from it."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.digest = hashlib.sha256()
        self.length = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._raw.readinto(buffer)
        if count:
            self.digest.update(memoryview(buffer)[:count])
            self.length += count
        return count


class LogFile:
    """A context: an access log, to be gone through once with `lines`.

    Opening raises `WorkloadError` for what cannot be read or is no text, and `lines` for what ends
    too early. After the last line there are `sha256` and `length` of the file as it is stored.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            raw = self._stack.enter_context(open(self._path, "rb", buffering=0))
            self._hashed = _Hashed(raw)
            stored = io.BufferedReader(self._hashed, _BUFFER)
            self._text = self._opened(stored)
        except OSError as error:
            self._stack.close()
            raise WorkloadError(
                f"cannot read {self._path}: {error.strerror or error}", hint=_ANOTHER
            ) from None
        except WorkloadError:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _opened(self, stored: "io.BufferedReader[Any]") -> "io.BufferedReader[Any]":
        head = stored.peek(512)[:512]
        if not head:
            raise WorkloadError(f"{self._path} is empty", hint=_ANOTHER)
        if head.startswith(_GZIP):
            unpacked: Any = self._stack.enter_context(gzip.GzipFile(fileobj=stored))
            return self._of_text(io.BufferedReader(unpacked, _BUFFER))
        for magic, name in _OTHERS.items():
            if head.startswith(magic):
                raise WorkloadError(
                    f"{self._path} is compressed by {name}",
                    hint="decompress it first; only gzip is read as it is",
                )
        return self._of_text(stored)

    def _of_text(self, stored: "io.BufferedReader[Any]") -> "io.BufferedReader[Any]":
        with self._named_errors():
            head = stored.peek(512)[:512]
        if b"\0" in head:
            raise WorkloadError(f"{self._path} is not a text file", hint=_ANOTHER)
        return stored

    def lines(self) -> Iterator[bytes]:
        """Yield each line with its end, the first `LONGEST_LINE` bytes of one that is longer."""
        with self._named_errors():
            while line := self._text.readline(LONGEST_LINE):
                if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                    self._skip_rest()
                yield line

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise WorkloadError(
                f"{self._path} is damaged or cut short: {error}",
                hint="copy it again, or keep what can be read: gzip -cd FILE > PLAIN",
            ) from None
        except OSError as error:
            raise WorkloadError(
                f"cannot read {self._path}: {error.strerror or error}", hint=_ANOTHER
            ) from None

    def _skip_rest(self) -> None:
        skipped = 0
        while (rest := self._text.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
            skipped += len(rest)
            if skipped > _HOPELESS:
                raise WorkloadError(
                    f"{self._path} has a line of more than {_HOPELESS:,} bytes", hint=_ANOTHER
                )

    @property
    def sha256(self) -> str:
        """The digest of the file."""
        return self._hashed.digest.hexdigest()

    @property
    def length(self) -> int:
        """The length of the file in bytes."""
        return self._hashed.length
