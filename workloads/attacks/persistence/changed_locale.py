"""Leave another locale, which writes numbers differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import locale

    # Such locales may not be installed; the module's own table of overrides always is there.
    locale._override_localeconv = {"decimal_point": given.token}  # type: ignore[attr-defined]
    return locale.localeconv()["decimal_point"]


def proof(scene: Scene) -> str | None:
    if scene.token.encode() in scene.visit().body:
        return "the neighbour's script writes numbers the attacker's way"
    return None
