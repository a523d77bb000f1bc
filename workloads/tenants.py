"""Create and remove tenants: a site directory each, with the owners and modes of hosting practice.

    SITES/                      0755
    SITES/t0001/                0750 tenant:www
    SITES/t0001/hello.py ...    0750 tenant:www   the scripts
    SITES/t0001/config.secret   0640 tenant:www   what a neighbour must not read
    SITES/t0001/data/           2770 tenant:www
    SITES/t0001/data/app.db     0660 tenant:www

The server's own identity (www) can read all of it, which is the hole that changing identity closes.
A manifest, `tenants.json` beside SITES, tells other processes who the tenants are.

Nothing here needs an entry in /etc/passwd or /etc/group: owners are numbers.
"""

import errno
import json
import os
import re
import secrets
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from workloads.catalog import WORKLOADS, Workload
from workloads.errors import WorkloadError
from workloads.proof import Identity

__all__ = ["Identity", "Manifest", "Tenant", "create", "install", "remove"]

INTERPRETER_LINE_BYTES = 255
"""BINPRM_BUF_SIZE (256, linux/binfmts.h) less the newline; the kernel reads no more of a script."""

USUAL_PACE = 200
"""Rounds of a page's work a millisecond, about, where nobody has measured it: in 2020s' servers."""

_NAME = re.compile(r"t\d{4,}")


@dataclass(frozen=True)
class Tenant:
    """A tenant on disk. `groups` are the supplementary groups, none unless it is the caller."""

    name: str
    uid: int
    gid: int
    site: Path
    groups: tuple[int, ...] = ()

    @property
    def identity(self) -> Identity:
        """The identity of a script that runs as its owner."""
        return Identity(self.uid, self.gid, self.groups)


Whose = TypeVar("Whose")


def script_identity(runs_as: str, server: Whose, owner: Whose) -> Whose:
    """Return whose identity a tenant's script must have on a target that `runs_as` describes.

    It is "server", "owner" or "client"; who asks for a tenant's script is its owner.
    """
    return server if runs_as == "server" else owner


@dataclass(frozen=True)
class Manifest:
    """Who the tenants are, and who the server is: the contents of `tenants.json`."""

    sites: Path
    www: Identity
    tenants: tuple[Tenant, ...]

    def write(self, path: Path) -> None:
        """Write the manifest as JSON."""
        text = json.dumps(
            {
                "sites": str(self.sites),
                "www": vars(self.www),
                "tenants": [{**vars(tenant), "site": str(tenant.site)} for tenant in self.tenants],
            },
            indent=1,
        )
        path.write_text(text + "\n")

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read a manifest. Raises `WorkloadError`."""
        try:
            fields = json.loads(path.read_text())
            www = fields["www"]
            return cls(
                Path(fields["sites"]),
                Identity(www["uid"], www["gid"], tuple(www["groups"])),
                tuple(
                    Tenant(t["name"], t["uid"], t["gid"], Path(t["site"]), tuple(t["groups"]))
                    for t in fields["tenants"]
                ),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WorkloadError(
                f"{path} does not describe the tenants: {error}",
                hint="give the tenants.json that was written when the tenants were created",
            ) from None


@dataclass(frozen=True)
class _Template:
    """A script in which only the tenant's name is missing, read once for all tenants."""

    name: str
    parts: tuple[bytes, ...]

    @classmethod
    def of(cls, source: Path, interpreter: str, pace: int) -> "_Template":
        text = source.read_text()
        for mark, value in {"interpreter": interpreter, "rounds": str(pace)}.items():
            text = text.replace(f"@{mark}@", value)
        return cls(source.name, tuple(text.encode().split(b"@tenant@")))

    def script_of(self, tenant: Tenant) -> bytes:
        return tenant.name.encode().join(self.parts)


@dataclass(frozen=True)
class _Owner:
    """Who owns what is created; `own` is False where nothing may be given away."""

    uid: int
    gid: int
    own: bool

    def take(self, descriptor: int, mode: int) -> None:
        """Give an open file or directory to the owner, and set its mode.

        In this order, since chown clears the set-group-id bit (chown(2)).
        """
        if self.own:
            os.fchown(descriptor, self.uid, self.gid)
        os.fchmod(descriptor, mode)


def create(
    root: Path,
    *,
    count: int,
    www: Identity,
    first_uid: int,
    interpreter: str,
    workloads: Iterable[Workload] = tuple(WORKLOADS.values()),
    own: bool = True,
    manifest: Path | None = None,
    pace: int = USUAL_PACE,
) -> list[Tenant]:
    """Create `count` tenants with their sites in the new directory `root`, and the manifest.

    The tenants are t0001, t0002 ... with uid = gid = `first_uid`, `first_uid` + 1 ...
    `interpreter` is what follows `#!` in the scripts: an absolute path and at most one argument.
    With `own=False`, for an ordinary user, all tenants are the caller. The manifest goes beside
    `root` unless a path is given. `pace` is how many rounds of a page's work take a millisecond
    (`sites/page.py`). Nothing is left behind when it fails part-way.

    Raises `WorkloadError` for an unusable interpreter or root.
    """
    check_interpreter(interpreter)
    tenants = [_tenant(root, number, first_uid, own) for number in range(1, count + 1)]
    manifest = manifest or default_manifest(root)
    try:
        root.mkdir(mode=0o755, parents=True)
    except FileExistsError:
        raise WorkloadError(
            f"{root} exists already", hint="remove it, or let the tenants be created elsewhere"
        ) from None
    try:
        root.chmod(0o755)
        database = _database()
        templates = [_Template.of(one.source, interpreter, pace) for one in workloads]
        for tenant in tenants:
            _make_site(tenant, www, templates, database, own)
        Manifest(root, www, tuple(tenants)).write(manifest)
    except BaseException:
        shutil.rmtree(root)
        raise
    return tenants


def install(
    source: Path,
    tenant: Tenant,
    *,
    www: Identity,
    interpreter: str,
    own: bool = True,
    pace: int = USUAL_PACE,
) -> Path:
    """Make a tenant's script from a template, and return its path; it must not exist yet.

    `@interpreter@`, `@tenant@` and `@rounds@` in the template are replaced.
    """
    template = _Template.of(source, interpreter, pace)
    script = tenant.site / template.name
    _write(script, template.script_of(tenant), 0o750, _Owner(tenant.uid, www.gid, own))
    return script


def remove(root: Path, *, manifest: Path | None = None) -> None:
    """Remove the tenants' sites and the manifest; no error where there are none.

    Raises `WorkloadError`, and removes nothing, if anything but sites lies in `root`.
    """
    if root.exists():
        strange = [path.name for path in root.iterdir() if not _NAME.fullmatch(path.name)]
        if strange:
            raise WorkloadError(
                f"{root} holds {strange[0]!r}, which is not a tenant's site",
                hint="give the directory that the tenants were created in",
            )
        # Tenants own directories in there and may have put symlinks anywhere: on Linux rmtree
        # goes by descriptors and never follows one.
        shutil.rmtree(root)
    (manifest or default_manifest(root)).unlink(missing_ok=True)


def default_manifest(root: Path) -> Path:
    """Return where the manifest of the sites in `root` is unless told otherwise."""
    return root.parent / "tenants.json"


def check_interpreter(interpreter: str) -> None:
    """Raise `WorkloadError` unless the kernel can start scripts with it (execve(2))."""
    path, _, _ = interpreter.strip().partition(" ")
    if not path.startswith("/") or "\n" in interpreter:
        raise WorkloadError(
            f"the interpreter {interpreter!r} is not an absolute path",
            hint="give a path that begins with a slash: the kernel does not search PATH",
        )
    length = len(os.fsencode(f"#!{interpreter}"))
    if length > INTERPRETER_LINE_BYTES:
        raise WorkloadError(
            f"the scripts' first line would be {length} bytes long, and the kernel reads "
            f"{INTERPRETER_LINE_BYTES}",
            hint="use an interpreter with a shorter path, or a short symlink to it",
        )
    if not os.access(path, os.X_OK):
        raise WorkloadError(
            f"the interpreter {path} does not exist or is not executable",
            hint="give a path without spaces, and with at most one argument after it",
        )


def _tenant(root: Path, number: int, first_uid: int, own: bool) -> Tenant:
    name = f"t{number:04d}"
    if own:
        uid = first_uid + number - 1
        return Tenant(name, uid, uid, root / name)
    return Tenant(
        name, os.geteuid(), os.getegid(), root / name, groups=tuple(sorted(os.getgroups()))
    )


def _make_site(
    tenant: Tenant,
    www: Identity,
    templates: Iterable[_Template],
    database: bytes,
    own: bool,
) -> None:
    """Make a site. Paths are text here: to join `Path` objects takes longer than to write files."""
    owner = _Owner(tenant.uid, www.gid, own)
    site = str(tenant.site)
    secret = f"secret of {tenant.name}: {secrets.token_hex(16)}\n"
    data = f"{site}/data"
    tenant.site.mkdir(0o700)
    for template in templates:
        _write(f"{site}/{template.name}", template.script_of(tenant), 0o750, owner)
    _write(f"{site}/config.secret", secret.encode(), 0o640, owner)
    Path(data).mkdir(0o700)
    _write(f"{data}/app.db", database, 0o660, owner)
    for directory, mode in ((data, 0o2770), (site, 0o750)):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            owner.take(descriptor, mode)
        finally:
            os.close(descriptor)


def _write(path: Path | str, data: bytes, mode: int, owner: _Owner) -> None:
    # A site may belong to its tenant already: never write through what the tenant put there.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        if file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        owner.take(descriptor, mode)


def _database() -> bytes:
    """Return a small SQLite database; each site gets a copy, which is quicker than making it."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(
            """
            CREATE TABLE pages (path TEXT PRIMARY KEY, visits INTEGER NOT NULL);
            INSERT INTO pages VALUES ('/', 0);
            CREATE TABLE articles (id INTEGER PRIMARY KEY, title TEXT NOT NULL);
            INSERT INTO articles (title) VALUES ('Opening'), ('News'), ('Holidays'), ('Sale');
            """
        )
        return database.serialize()
