"""The secrets of a scene: random words where a tenant, a server or its operator keeps theirs.

Whether an attack has worked is judged by whether one of them came back; random, so that no script
can guess it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from harness.target.server import Site
from harness.target.targets import python
from workloads import attacks
from workloads.proof import Identity
from workloads.tenants import Tenant

BEGUN = "begun"
"""The directory of the attacker's site in which scripts say that they have begun."""


@dataclass(frozen=True)
class Planted:
    """The two tenants, and the secret words by the place where they were put."""

    attacker: Tenant
    neighbour: Tenant
    words: dict[str, str]

    @classmethod
    def on(cls, site: Site, www: Identity, attacker: Tenant, neighbour: Tenant) -> Planted:
        """Plant everything on the sites."""
        words = {
            place: secrets.token_hex(12)
            for place in (
                *("source", "listing", "environment", "request", "group", "database"),
                *("key", "typed"),
            )
        }
        words["file"] = (neighbour.site / "config.secret").read_text().split()[-1]
        planted = cls(attacker, neighbour, words)
        with closing(sqlite3.connect(neighbour.site / "data" / "app.db")) as database, database:
            database.execute("INSERT INTO articles (title) VALUES (?)", (words["database"],))
        witness = attacks.WITNESS.read_text().replace("@source@", words["source"])
        planted.script(neighbour, "witness.py", witness, www)
        # Its name is what a listing and a command line give away.
        planted.script(neighbour, planted.linger, attacks.LINGER.read_text(), www)
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
        return f"q{self.words['listing']}.py"

    def script(self, tenant: Tenant, name: str, source: str, www: Identity) -> Path:
        """Write a script as hosting practice has it."""
        path = tenant.site / name
        path.write_text(f"#!{python()} -IS\n{source}")
        os.chown(path, tenant.uid, www.gid)
        path.chmod(0o750)
        return path
