"""Read the neighbour's database by a statement of SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_guard"


def attack(given: Given) -> object:
    given.must_be_guarded()
    import sqlite3

    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("ATTACH ? AS other", (f"{given.neighbour}/data/app.db",))
        return connection.execute("SELECT title FROM other.articles").fetchall()
    except sqlite3.Error as error:
        raise PermissionError(f"sqlite: {error}") from error
    finally:
        connection.close()


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secrets["database"], "a row of the neighbour's database")
