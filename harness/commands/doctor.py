"""What this host can run, and what would make its measurements worse."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import Caution
from harness.host import settings, user_namespace
from harness.target.run_resources import Belongings
from harness.target.server import Site, check
from harness.target.sites import settle
from harness.target.targets import Refusal, Target
from workloads import credential


@dataclass(frozen=True)
class Diagnosis:
    """Which targets can run and which cannot; `identities` says where other uids come from.

    `cautions` weaken a measurement here, `remarks` are worth knowing.
    """

    usable: tuple[Target, ...]
    refused: tuple[Refusal, ...]
    cautions: tuple[Caution, ...]
    remarks: tuple[Caution, ...]
    identities: str


def sort_out(
    targets: Sequence[Target], site: Site, client: str = "lean"
) -> tuple[list[Target], list[Refusal]]:
    """Ask each target whether it can run here; return those that can and those that cannot.

    `client` is what the load is generated with: it must be able to ask the target.
    """
    refusals = {
        target.name: _out_of_reach(target, client) or check(target, site) for target in targets
    }
    usable = [target for target in targets if refusals[target.name] is None]
    return usable, [refusal for refusal in refusals.values() if refusal is not None]


def _out_of_reach(target: Target, client: str) -> Refusal | None:
    """Return why no client of ours can ask a target that goes by the client's identity."""
    if not target.by_client:
        return None
    if client == "fasthttp":
        words = f"the client {client} cannot send a credential in its packets"
        return Refusal(target, words, "omit --client, or the target")
    obstacle = credential.obstacle()
    remedy = "run isobench as root of the host: root in a user namespace has no power there"
    return Refusal(target, obstacle, remedy) if obstacle else None


def diagnose(targets: Sequence[Target]) -> Diagnosis:
    """Examine the host, with tenants that are made for it and removed again."""
    others = tuple(settings.watch_processes())  # before there are processes of ours
    with Belongings() as belongings:
        usable, refused = sort_out(targets, settle(belongings, 2, None))
    return Diagnosis(
        usable=tuple(usable),
        refused=tuple(refused),
        cautions=(*settings.harmful_settings(), *others),
        remarks=tuple(settings.worth_knowing()),
        identities=identities(),
    )


def identities() -> str:
    """Say in words where the different uids of tenants come from, or why there are none."""
    if user_namespace.entered():
        return "a user namespace with a range of /etc/subuid: real, different uids, no host root"
    if os.geteuid() == 0:
        return "root: any uid that no user of this host has"
    return f"only your own: {user_namespace.obstacle()}"
