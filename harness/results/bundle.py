"""A run as one archive that others can check: its files, their digests, and what made them.

A bundle is a tar archive, compressed by gzip, with one directory:

    NAME/bundle.json        what is in it: the format's version, the run, the host, SHA-256 of files
    NAME/requirements.txt   the exact versions of all Python packages, as pip reads them
    NAME/CITATION.cff       how to cite the run (https://citation-file-format.github.io)
    NAME/results/           the results folder

The same folder gives the same bytes: members are sorted, and have no owner and one time.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath
from typing import Any, Final

from harness.errors import IsobenchError
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest

FORMAT: Final = 1
SUFFIX: Final = ".tar.gz"
_RESULTS: Final = "results"
_MOST_BYTES: Final = 2 << 30
_WRONG: Final = "ask its sender for the archive that isobench bundle wrote"


def pack(folder: ResultsFolder) -> bytes:
    """Return the bundle of a results folder.

    Raises IsobenchError where a run has not finished, or where its trials cannot be read.
    """
    manifest = folder.manifest
    if manifest.finished_at is None:
        raise IsobenchError(
            f"{folder.path} is of a run that did not finish",
            hint=f"finish it: isobench run --resume {folder.path}",
        )
    folder.trials()  # a bundle of a damaged table would be of use to nobody
    results = {
        f"{_RESULTS}/{path.relative_to(folder.path)}": path.read_bytes()
        for path in sorted(folder.path.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
    }
    files = {
        **results,
        "requirements.txt": requirements().encode(),
        "CITATION.cff": citation(manifest).encode("utf-8", "backslashreplace"),
    }
    files["bundle.json"] = _json(_described(manifest, files))
    return _archive(f"isobench-{manifest.run_id}", files, _time(manifest))


def requirements() -> str:
    """Return the installed packages and their exact versions, a lock file for pip."""
    found = {one.metadata["Name"].lower(): one for one in distributions() if one.metadata["Name"]}
    lines = (f"{one.metadata['Name']}=={one.version}" for _, one in sorted(found.items()))
    return "".join(f"{line}\n" for line in lines)


def citation(manifest: Manifest) -> str:
    """Return how to cite a run, as a CITATION.cff of a data set. JSON strings are YAML strings."""
    title = f"Results of isobench run {manifest.run_id}"
    return (
        "cff-version: 1.2.0\n"
        "message: Fill in who made this run before you cite it.\n"
        "type: dataset\n"
        f"title: {json.dumps(title)}\n"
        "authors:\n  - name: Whoever made this run\n"
        f"date-released: {json.dumps(manifest.started_at[:10])}\n"
        f"version: {json.dumps(manifest.run_id)}\n"
        "references:\n"
        "  - type: software\n"
        "    title: isobench\n"
        "    authors:\n      - name: The isobench developers\n"
        f"    version: {json.dumps(manifest.isobench)}\n"
    )


def unpack(bundle: Path, into: Path) -> Path:
    """Write a bundle's results folder to `into`, and return it.

    Raises IsobenchError where it is no bundle, a file is not what its digest says, or `into` is not
    free.
    """
    files = _read(bundle)
    try:
        described = json.loads(files["bundle.json"])
        digests = dict(described["sha256"])
        known = described["format"] <= FORMAT
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise IsobenchError(f"{bundle} is not a bundle", hint=_WRONG) from error
    if not known:
        raise IsobenchError(
            f"{bundle} has format {described['format']}; this isobench reads up to {FORMAT}",
            hint="update isobench to the version that wrote it or a later one",
        )
    _verify(bundle, files, digests)
    ResultsFolder.must_be_free(into)
    for name, content in files.items():
        place = PurePosixPath(name)
        if place.parts[0] == _RESULTS:
            target = into.joinpath(*place.parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return into


def _verify(bundle: Path, files: Mapping[str, bytes], digests: Mapping[str, str]) -> None:
    wrong = [name for name, digest in digests.items() if _digest(files.get(name)) != digest]
    wrong += [name for name in files if name not in digests and name != "bundle.json"]
    if wrong:
        raise IsobenchError(
            f"{bundle} was changed since it was made: {', '.join(sorted(wrong))}", hint=_WRONG
        )


def _described(manifest: Manifest, files: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "run_id": manifest.run_id,
        "isobench": manifest.isobench,
        "commit": manifest.commit,
        "command": list(manifest.argv),
        "seed": manifest.seed,
        "started_at": manifest.started_at,
        "machine": dict(manifest.machine),
        "versions": dict(manifest.versions),
        "interpreter": dict(manifest.interpreter),
        "sha256": {name: _digest(content) for name, content in sorted(files.items())},
    }


def _digest(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()


def _json(content: object) -> bytes:
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def _time(manifest: Manifest) -> int:
    try:
        return int(datetime.fromisoformat(manifest.started_at).timestamp())
    except ValueError:
        return 0


def _archive(name: str, files: Mapping[str, bytes], time: int) -> bytes:
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for place, content in sorted(files.items()):
            member = tarfile.TarInfo(f"{name}/{place}")
            member.size, member.mtime, member.mode = len(content), time, 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _read(bundle: Path) -> dict[str, bytes]:
    """Return the files of a bundle by their names in it; nothing is written."""
    if bundle.is_dir():
        raise IsobenchError(
            f"{bundle} is a folder, and a bundle is an archive",
            hint=f"isobench bundle {bundle} makes one of the results folder of a run",
        )
    files: dict[str, bytes] = {}
    left = _MOST_BYTES
    try:
        with tarfile.open(bundle, "r:gz") as archive:
            for member in archive:
                place = PurePosixPath(member.name)
                content = archive.extractfile(member)
                left -= member.size
                if content is None or left < 0 or place.is_absolute() or ".." in place.parts:
                    raise IsobenchError(
                        f"{bundle} is not a bundle: it has the member {member.name}", hint=_WRONG
                    )
                if len(place.parts) > 1:
                    files["/".join(place.parts[1:])] = content.read()
    except OSError as error:
        reason = error.strerror or str(error)
        raise IsobenchError(f"cannot read {bundle}: {reason}", hint=_WRONG) from error
    # A damaged header may say anything of its fields.
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise IsobenchError(f"{bundle} is not a bundle: {error}", hint=_WRONG) from error
    return files
