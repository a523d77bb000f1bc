"""Open one's own memory as a file, to write the guard out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PHP_CONTROL = "careless_php_guard"
CONTROL = "careless_guard"


def attack(given: Given) -> object:
    given.must_be_guarded()
    # Whoever may write there can change any function; that it opens is what a guard must prevent.
    with open("/proc/self/mem", "r+b", buffering=0):
        return f"opened by {given.token}"


def proof(scene: Scene) -> str | None:
    if f"opened by {scene.token}".encode() in scene.replies()[0].body:
        return "the process's memory is open for writing"
    return None
