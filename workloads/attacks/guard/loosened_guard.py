"""Loosen the guard step by step by its own settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Scene

# Only PHP's guard, open_basedir, has settings that a script may tighten; this one has no Python.
SHARED = True
PHP_CONTROL = "careless_php_guard"


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secret, "the neighbour's secret")
