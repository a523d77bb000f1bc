"""Return to an identity that the process has kept as its real or saved one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-271: identities that stay when the effective one changes"
ONE_STEP = True
PHP_CONTROL = "careless_php_switch"
# glibc ends a process whose threads do not agree on their credentials (nptl_setxid.c).
MAY_BE_ENDED = True
CONTROL = "careless_switch"


def attack(given: Given) -> object:
    import os

    refusal: OSError | None = None
    for uid in (0, given.www_uid, *os.getresuid()):
        if uid == os.geteuid():
            continue
        try:
            os.seteuid(uid)
        except OSError as error:
            refusal = error
            continue
        with open(f"{given.drop}/saved_uid", "w") as file:
            file.write(given.token)
        return os.getresuid()
    raise refusal or PermissionError("there is no other identity")


def proof(scene: Scene) -> str | None:
    return scene.gained_identity()
