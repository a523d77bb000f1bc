"""Run code in an interpreter of its own, which has no guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PHP_CONTROL = "careless_php_guard"
CONTROL = "careless_guard"


def attack(given: Given) -> object:
    given.must_be_guarded()
    import importlib

    try:
        interpreters = importlib.import_module("_xxsubinterpreters")
    except ModuleNotFoundError:  # from Python 3.13 on
        interpreters = importlib.import_module("_interpreters")

    number = interpreters.create()
    interpreters.run_string(
        number,
        f"open({given.drop + '/copy'!r}, 'w').write("
        f"open({given.neighbour + '/config.secret'!r}).read())",
    )
    interpreters.destroy(number)
    return "run"


def proof(scene: Scene) -> str | None:
    return scene.stolen(scene.secret, "the neighbour's secret")
