"""The ground that a product stands on: namespaces' own passwd, group, /tmp, and a tree of files.

All of it is mounted in the server's own mount namespace, so that it ends with the server. The
host's files of the same names are not touched.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from servers.front.startup import containment
from servers.kernel import syscalls
from servers.kernel.credentials import Identity
from servers.peer import Peer, Setting, Tenant

RUN: Final = "/tmp/peer"
"""Where a product's own files are, in its namespace's own /tmp. Short, since the path of a Unix
socket has 107 bytes at most (unix(7)), and products make theirs far below."""

_SUEXEC: Final = Path("/usr/lib/apache2/suexec")
_SUEXEC_SETTINGS: Final = Path("/etc/apache2/suexec")
_SUEXEC_LOGS: Final = Path("/var/log/apache2")
_OWN: Final = "own"
_DATA: Final = "data"


def tenants_of(sites: Path) -> tuple[Tenant, ...]:
    """Return the tenants whose sites are in a directory, by name; a tenant's gid is its uid."""
    found = (path for path in sorted(sites.iterdir()) if path.is_dir())
    return tuple(
        Tenant(path.name, uid, uid, str(path), f"{RUN}/{_OWN}/{path.name}")
        for path in found
        for uid in [path.stat().st_uid]
    )


def lay(peer: Peer, visible: Sequence[Path]) -> None:
    """Prepare all that the product needs, in this mount namespace. Raises OSError.

    `visible` are paths that stay what they are, whatever is mounted above them.
    """
    setting = peer.setting
    for place in ("/tmp", "/var/tmp"):
        containment.hide(Path(place), visible)
    run = Path(setting.run)
    run.mkdir()
    syscalls.mount("isobench", str(run), "tmpfs", syscalls.MS_NODEV, "mode=0755,size=1g")
    (run / "nothing").mkdir(mode=0o755)
    for name, identity in peer.directories():
        _directory(run / name, identity)
    if peer.wants_own_copies:
        for tenant in setting.tenants:
            _provide_own(tenant)
    for name, text in peer.files().items():
        _write(setting, name, text)
    _name_everybody(setting)
    if peer.wants_suexec:
        _put_up_wrapper(setting)


def _directory(path: Path, identity: Identity) -> None:
    path.mkdir()
    os.chown(path, identity.uid, identity.gid)
    path.chmod(0o750)


def _write(setting: Setting, name: str, text: str) -> None:
    """Write a file of the configuration; one in a tenant's copy of its site is the tenant's."""
    path = Path(setting.run, name)
    owner = next((one for one in setting.tenants if path.is_relative_to(one.own)), None)
    for folder in reversed(path.parents):
        if not folder.exists():
            folder.mkdir(mode=0o755)
            if owner:
                os.chown(folder, owner.uid, owner.gid)
    path.write_text(text)
    if owner:
        os.chown(path, owner.uid, owner.gid)
        path.chmod(0o755)


def _provide_own(tenant: Tenant) -> None:
    """Have the site where it belongs to tenant:tenant: the site itself, if it does, or a copy."""
    if Path(tenant.site).stat().st_gid != tenant.gid:
        _copy(tenant)
        return
    Path(tenant.own).mkdir(mode=0o755, parents=True)
    syscalls.mount(tenant.site, tenant.own, None, syscalls.MS_BIND)


def _copy(tenant: Tenant) -> None:
    """Copy a site to where it belongs to tenant:tenant, and others may read its scripts."""
    shutil.copytree(tenant.site, tenant.own, symlinks=True)
    for path in (Path(tenant.own), *Path(tenant.own).rglob("*")):
        os.chown(path, tenant.uid, tenant.gid, follow_symlinks=False)
        if path.is_symlink():
            continue
        private = path.stat().st_mode & 0o007 == 0 and path.suffix == ".secret"
        within = path.relative_to(tenant.own).parts
        closed = private or within[:1] == (_DATA,)
        path.chmod(0o600 if private else 0o700 if closed else 0o755)


def _name_everybody(setting: Setting) -> None:
    """Put a passwd and a group in the place of the host's, with www and the tenants."""
    www = setting.www
    entries = [
        ("root", 0, 0, "/root"),
        ("nobody", 65534, 65534, "/nonexistent"),
        ("www", www.uid, www.gid, "/nonexistent"),
        *((one.name, one.uid, one.gid, one.site) for one in setting.tenants),
    ]
    users = (f"{name}:x:{uid}:{gid}::{home}:/bin/sh" for name, uid, gid, home in entries)
    groups = (f"{name}:x:{gid}:" for name, _, gid, _ in entries)
    for place, lines in (("/etc/passwd", users), ("/etc/group", groups)):
        _put_up(Path(setting.run, Path(place).name), lines, Path(place))


def _put_up(own: Path, lines: Iterable[str], place: Path) -> None:
    own.write_text("\n".join(lines) + "\n")
    syscalls.mount(str(own), str(place), None, syscalls.MS_BIND)


def _put_up_wrapper(setting: Setting) -> None:
    """Let www call Apache's suEXEC wrapper, for programs in the tenants' copies.

    The package's own is executable for the group www-data only, and reads which document root it
    is to keep to from a file with its caller's name (suexec(8)). It writes a line a request to its
    log, without which it does nothing: that is not to be the host's.
    """
    run = Path(setting.run)
    wrapper = run / "suexec-program"
    shutil.copyfile(_SUEXEC.with_name("suexec-custom"), wrapper)
    os.chown(wrapper, 0, setting.www.gid)
    wrapper.chmod(0o4750)
    # Where the alternative of Debian's packages leads to, mount(2) finds by itself.
    syscalls.mount(str(wrapper), str(_SUEXEC.resolve()), None, syscalls.MS_BIND)
    settings = run / "suexec-settings"
    settings.mkdir(mode=0o755)
    (settings / "www").write_text(f"{run / _OWN}\npublic_html\n")
    syscalls.mount(str(settings), str(_SUEXEC_SETTINGS), None, syscalls.MS_BIND)
    logs = run / "suexec-log"
    logs.mkdir(mode=0o755)
    syscalls.mount(str(logs), str(_SUEXEC_LOGS), None, syscalls.MS_BIND)
