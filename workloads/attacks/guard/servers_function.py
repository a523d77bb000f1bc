"""Put a function in the server's place that runs when the guard is off."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_guard"


def attack(given: Given) -> object:
    import sys

    given.must_be_guarded()
    replies = sys.modules.get("servers.front.workers.replies")
    if replies is None:
        raise PermissionError("nothing of the server's is in the script's process")
    real, secret, drop, opens = replies.render, f"{given.neighbour}/config.secret", given.drop, open

    def render(*arguments: object, **named: object) -> object:
        with opens(secret) as file, opens(f"{drop}/copy", "w") as copy:
            copy.write(file.read())
        return real(*arguments, **named)

    vars(replies)["render"] = render
    return "waiting"


def proof(scene: Scene) -> str | None:
    return scene.stolen(scene.secret, "the neighbour's secret")
