"""The secrets of a scene: random words where a tenant, a server or its operator keeps theirs.

Whether an attack has worked is judged by whether one of them came back; random, so that no script
can guess it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from harness.target.server import Site
from harness.target.targets import Target, python
from workloads import attacks
from workloads.catalog import SUFFIXES
from workloads.proof import Identity
from workloads.tenants import Tenant

OLD_S = 60.0
"""How old the neighbour's scripts look: what changed a moment ago is not cached by all products."""

BEGUN = "begun"
"""The directory of the attacker's site in which scripts say that they have begun."""


@dataclass(frozen=True)
class Planted:
    """The two tenants, and the secret words by the place where they were put.

    Scripts are in `language`. With `own_group` they belong to the tenant's own group, and their
    directories let anybody through, as some products demand; else to the server's.
    """

    attacker: Tenant
    neighbour: Tenant
    words: dict[str, str]
    language: str = "python"
    own_group: bool = False
    as_server: bool = False

    @classmethod
    def on(
        cls,
        site: Site,
        www: Identity,
        attacker: Tenant,
        neighbour: Tenant,
        target: Target | None = None,
    ) -> Planted:
        """Plant everything on the sites, as the target wants it; None: as modes do."""
        words = {
            place: secrets.token_hex(12)
            for place in (
                *("source", "listing", "environment", "request", "group", "database"),
                *("key", "typed"),
            )
        }
        words["file"] = (neighbour.site / "config.secret").read_text().split()[-1]
        planted = cls(attacker, neighbour, words)
        if target is not None:
            planted = replace(
                planted,
                language=target.language,
                own_group=target.wants_own_copies,
                as_server=target.runs_as == "server",
            )
        if planted.own_group:
            for tenant in (attacker, neighbour):
                _give_to_own_group(tenant)
        with closing(sqlite3.connect(neighbour.site / "data" / "app.db")) as database, database:
            database.execute("INSERT INTO articles (title) VALUES (?)", (words["database"],))
        suffix = planted.suffix
        witness = attacks.WITNESS.with_suffix(suffix).read_text()
        witness = witness.replace("@source@", words["source"])
        look_old(planted.script(neighbour, f"witness{suffix}", witness, www))
        # Its name is what a listing and a command line give away.
        linger = attacks.LINGER.with_suffix(suffix).read_text()
        planted.script(neighbour, planted.linger, linger, www)
        # As its owner may do: what runs as others shall be able to bring something here.
        attacker.site.chmod(0o751)
        for name in ("drop", BEGUN):
            directory = attacker.site / name
            directory.mkdir()
            os.chown(directory, attacker.uid, www.gid)
            directory.chmod(0o777)
        for_www = attacker.site / "group.secret"
        for_www.write_text(words["group"])
        os.chown(for_www, 0, www.gid)
        for_www.chmod(0o040)
        setuid = attacker.site / "setuid"
        shutil.copy(shutil.which("touch") or "/usr/bin/touch", setuid)
        os.chown(setuid, 0, 0)
        setuid.chmod(0o4755)
        return planted

    @property
    def linger(self) -> str:
        """The name of the script that runs while an attack is made."""
        return f"q{self.words['listing']}{self.suffix}"

    @property
    def suffix(self) -> str:
        """How the names of scripts end."""
        return SUFFIXES[self.language]

    def script(
        self, tenant: Tenant, name: str, source: str, www: Identity, private: bool = False
    ) -> Path:
        """Write a script as hosting practice has it; `private` for whom it runs as only."""
        path = tenant.site / name
        path.write_text(f"#!{python()} -IS\n{source}" if self.language == "python" else source)
        os.chown(path, tenant.uid, tenant.gid if self.own_group else www.gid)
        if private:
            path.chmod(0o640 if self.as_server else 0o600)
        else:
            path.chmod(0o700 if self.own_group else 0o750)
        return path


def look_old(path: Path) -> None:
    """Have a file look as if nobody had changed it for a while."""
    then = time.time() - OLD_S
    os.utime(path, (then, then))


def _give_to_own_group(tenant: Tenant) -> None:
    """Give a site to its tenant's own group, open for passing through and for nothing else."""
    for path in (tenant.site, *tenant.site.rglob("*")):
        os.chown(path, tenant.uid, tenant.gid)
        path.chmod(0o711 if path == tenant.site else 0o700 if path.is_dir() else 0o600)
