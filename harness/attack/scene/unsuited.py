"""Why a target or a host is no place for an attack."""

from __future__ import annotations

from typing import Final

from harness.attack.scene.observed import ObservedProcesses
from harness.target.targets import Target
from workloads.attacks import Attack

UNCONTAINED: Final = (
    "this host allows no pid namespaces, so what the attack leaves behind might not be ended"
)
UNSEEN: Final = "isobench may not inspect the server's processes on this host"
NO_JOURNAL: Final = "a product stamps nothing that could be forged"
OF_OURS: Final = "it looks for objects of isobench's own servers, which a product has not"
UNFIT: Final = {
    UNCONTAINED: "allow namespaces (CAP_SYS_ADMIN in a container)",
    UNSEEN: "allow isobench CAP_SYS_PTRACE",
}
"""Why a host is no place for some attacks, each with what would change that."""

_SPELLED: Final = {"python": "Python", "php": "PHP", "perl": "Perl"}


def without_object(attack: Attack, target: Target) -> str | None:
    """Return why a target has nothing that an attack is about, whatever the host; None if it may.

    Pure; no server is needed to know it.
    """
    if target.is_peer and attack.profiled:
        return NO_JOURNAL
    if target.is_peer and attack.of_ours and target.language == "python":
        return OF_OURS
    if target.is_peer and attack.instead is not None:
        return "the wrapper that it calls is that of isobench's own server"
    if attack.source_in(target.language) is None:
        return f"it is not written in {_SPELLED[target.language]}"
    return None


def unfit_for(attack: Attack, observed: ObservedProcesses) -> str | None:
    """Return why this host's servers are no scene for an attack, None where they are."""
    if not observed.cast.contained and not attack.shared:
        return UNCONTAINED
    return UNSEEN if attack.neighbour_at_work and not observed.sees() else None
