"""Which tenant a request names, and which of its scripts. Reads directories, opens no script."""

from __future__ import annotations

import os
import stat
from sys import getsizeof

from servers.http import BadRequest
from servers.kernel.credentials import Identity
from servers.remembered import Bounded, size_of
from servers.typed import NamedTuple

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    Path = str | os.PathLike[str]

_SUFFIX: Final = b".py"
# Room in bytes for what clients have asked for, in whatever spelling.
_ROOM_FOR_SCRIPTS: Final = 8 * 1024 * 1024
_ROOM_FOR_HOSTS: Final = 1024 * 1024
_HEXADECIMAL: Final = b"0123456789abcdefABCDEF"


class NotFound(Exception):
    """No such tenant or script: the request is answered with 404."""


class Script(NamedTuple):
    """A script of one tenant, as one URL names it.

    `environment` holds the part of the CGI environment that depends on nothing else; `directory` is
    the one that the script is in, which it runs in (RFC 3875, section 7.2).
    """

    path: bytes
    site: Site
    environment: dict[bytes, bytes]
    directory: bytes


class Site:
    """A tenant's directory, and the identity that owns it, as a virtual host's configuration.

    The directory's group is the server's, so that www can enter; the tenant's own gid is the number
    of its uid, as with the user private groups of most Linux distributions.
    """

    def __init__(self, name: str, root: Path, owner: Identity | None = None) -> None:
        """Find the owner in the directory `root`, unless it is given."""
        uid = os.stat(root).st_uid
        self.name = name
        self.root = os.fsencode(root)
        self.owner = owner or Identity(uid, uid)

    def script(self, target: bytes) -> Script:
        """Return the script that a request target names (RFC 3875, section 3.3).

        The first path segment that ends with .py is the script, what follows is PATH_INFO.
        Raises NotFound, and BadRequest for a path that tries to leave the site.
        """
        path = target.partition(b"?")[0]
        script = _scripts.get((self, path))
        if script is None:
            script = self._locate(path)
            size = size_of((path, script.path, *script.environment.items()))
            _scripts.keep((self, path), script, size + getsizeof(script.environment))
        return script

    def _locate(self, path: bytes) -> Script:
        decoded = unquoted(path)
        segments = decoded.split(b"/")
        if not decoded.startswith(b"/") or b"\0" in decoded or b".." in segments:
            raise BadRequest(400, "the path leaves the site")
        for position, segment in enumerate(segments):
            if segment.endswith(_SUFFIX) and not segment.startswith(b"."):
                # One name for one file, as Apache does it (ap_normalize_path, MergeSlashes).
                above = [part for part in segments[:position] if part not in (b"", b".")]
                return self._script([b"", *above, segment], segments[position + 1 :])
        raise NotFound("no script is named")

    def _script(self, name: list[bytes], rest: list[bytes]) -> Script:
        path = self.root + b"/".join(name)
        environment = {
            b"DOCUMENT_ROOT": self.root,
            b"SCRIPT_FILENAME": path,
            b"SCRIPT_NAME": b"/".join(name),
        }
        if rest:
            environment[b"PATH_INFO"] = b"/" + b"/".join(rest)
            environment[b"PATH_TRANSLATED"] = self.root + b"/" + b"/".join(rest)
        return Script(path, self, environment, path.rpartition(b"/")[0])


def unquoted(path: bytes) -> bytes:
    """Decode what is percent-encoded (RFC 3986, section 2.1); leave what is not so as it is.

    What urllib.parse.unquote_to_bytes does, which would bring `ipaddress`, `re` and more.
    """
    first, *parts = path.split(b"%")
    decoded = [first]
    for part in parts:
        code, rest = part[:2], part[2:]
        is_code = len(code) == 2 and not code.strip(_HEXADECIMAL)
        decoded.append(bytes([int(code, 16)]) + rest if is_code else b"%" + part)
    return b"".join(decoded)


# Of all sites together, since clients choose among these as well.
_scripts: Final[Bounded[tuple[Site, bytes], Script]] = Bounded(_ROOM_FOR_SCRIPTS)


class Sites:
    """All sites below one directory. The first label of the Host header names the tenant."""

    def __init__(self, root: Path) -> None:
        self.root = os.fspath(root)
        self._by_host: Bounded[bytes, Site] = Bounded(_ROOM_FOR_HOSTS)
        self._by_name: dict[str, Site] = {}
        for name in sorted(os.listdir(root)):
            path = os.path.join(root, name)
            if os.path.isdir(path):
                self._by_name[name] = Site(name, path)

    def add(self, site: Site) -> None:
        """Have requests find a site that is not below the directory."""
        self._by_name[site.name] = site

    def __iter__(self) -> Iterator[Site]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, host: bytes) -> Site:
        """Return the site that a Host header names. Raises NotFound."""
        site = self._by_host.get(host)
        if site is None:
            name = host.partition(b":")[0].partition(b".")[0].lower().decode("latin-1")
            site = self._by_name.get(name) or self._arrived_later(name)
            self._by_host.keep(host, site, len(host))
        return site

    def _arrived_later(self, name: str) -> Site:
        if not name.isalnum():
            raise NotFound("no such tenant")
        root = os.path.join(self.root, name)
        try:
            is_site = stat.S_ISDIR(os.lstat(root).st_mode)
        except OSError:
            is_site = False
        if not is_site:
            raise NotFound("no such tenant")
        site = self._by_name[name] = Site(name, root)
        return site
