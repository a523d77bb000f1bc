"""Read the neighbour's script from the cache of compiled code."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CVE-2015-8994: PHP's opcache gave any user's script the cached files of others"
ONE_STEP = True


OF_OURS = True


def attack(given: Given) -> object:
    import os

    path = f"{given.neighbour}/witness.py".encode()
    kept: list[object] = []
    for interpreter in given.reach("Embedded"):
        codes = interpreter._codes
        kept += [code.co_consts for key, code in codes.items() if key[0] == path]
    for jobs in given.reach("Jobs"):
        kept += [jobs.compiled.get(path, b"")]
    for interpreter in given.reach("EmbeddedOnce"):
        place = f"{interpreter._directory}/{given.neighbour_uid}"
        for name in os.listdir(place):
            with open(f"{place}/{name}", "rb") as file:
                kept.append(file.read())
    if not any(kept):
        raise PermissionError("no code of the neighbour's is in the script's process")
    return kept


def missing(scene: Scene) -> str | None:
    return None if scene.visit().status == 200 else "the neighbour was not served before"


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secrets["source"], "a word of the neighbour's script")
