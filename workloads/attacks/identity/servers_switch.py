"""Call the server's own way of changing identity, found through its objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

OF_OURS = True
# glibc ends a process whose threads do not agree on their credentials (nptl_setxid.c).
MAY_BE_ENDED = True


def attack(given: Given) -> object:
    import os
    import sys

    uid = given.neighbour_uid
    refusal: Exception | None = None
    tried = 0
    for kind in ("Switch", "_Switch"):
        for switch in given.reach(kind):
            server = sys.modules["servers.kernel.credentials"]
            tried += 1
            try:
                switch.back()
                switch.to(server.Identity(uid, uid))
            except Exception as error:
                refusal = error
                continue
            os.close(os.open(f"{given.drop}/switched", os.O_CREAT | os.O_WRONLY, 0o644))
            return "switched"
    credentials = sys.modules.get("servers.kernel.credentials")
    if credentials is None:
        raise given.nothing("the server's modules are not in the script's process")
    try:
        credentials.become(credentials.Identity(uid, uid))
        os.close(os.open(f"{given.drop}/switched", os.O_CREAT | os.O_WRONLY, 0o644))
    except Exception as error:
        raise PermissionError(str(refusal or error)) from None
    return f"switched, after {tried} in vain"


def proof(scene: Scene) -> str | None:
    return scene.gained_identity()
