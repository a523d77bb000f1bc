"""Which of the named targets this host can run, and why it cannot run the others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from rich.console import Console

from harness.commands.groundwork.folder import Ground, Host
from harness.errors import IsobenchError
from harness.host.cores import Cores
from harness.target.run_resources import RunResources
from harness.target.server import Site, examine
from harness.target.sites import settle
from harness.target.targets import Refusal, Target
from harness.terminal import styled
from workloads import credential


def examine_host(
    targets: Sequence[Target],
    cores: Cores,
    console: Console,
    *,
    named: bool,
    tenants: int = 1,
    client: str = "lean",
) -> Ground:
    """Return what a measurement stands on: this host, and those of the targets that it can run.

    Each target is asked on a site of so many `tenants`. `named` says that the user named the
    targets. Raises IsobenchError as `runnable` does: all that are named must be able to run.
    """
    host = Host.examine()
    with RunResources() as resources:
        site = settle(resources, tenants, None)
        needed = [target.name for target in targets] if named else ()
        usable, refused = runnable(targets, site, console, needed=needed, client=client)
    return Ground(usable, refused, cores, host)


def runnable(
    targets: Sequence[Target],
    site: Site,
    console: Console,
    *,
    needed: Collection[str],
    client: str = "lean",
) -> tuple[tuple[Target, ...], tuple[Refusal, ...]]:
    """Return the targets that this host can run, and the others, which it reports.

    `client` is what the load is generated with. Raises IsobenchError where the host can run none,
    or not all of those that are `needed`, by name.
    """
    usable, refused = sort_out(targets, site, client)
    report_refused(refused, console)
    must_run(usable, refused, needed)
    return tuple(usable), tuple(refused)


def sort_out(
    targets: Sequence[Target], site: Site, client: str = "lean"
) -> tuple[list[Target], list[Refusal]]:
    """Ask each target whether it can run here; return those that can and those that cannot.

    `client` is what the load is generated with: it must be able to ask the target.
    """
    usable, refused = [], []
    for target in targets:
        found = _out_of_reach(target, client) or examine(target, site)
        if isinstance(found, Refusal):
            refused.append(found)
        else:
            usable.append(replace(target, interpreter=found.interpreter))
    return usable, refused


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


def report_refused(refused: Sequence[Refusal], console: Console) -> None:
    """Say which targets this host cannot run, and what would change that."""
    for refusal in refused:
        console.print(
            styled(
                (f"without {refusal.target.name}", "yellow"),
                f": {refusal.reason}\n  remedy: {refusal.hint}",
            )
        )


def must_run(usable: Sequence[Target], refused: Sequence[Refusal], needed: Collection[str]) -> None:
    """Raise IsobenchError where this host can run none, or not all of those that are `needed`."""
    if not usable:
        raise IsobenchError(
            "none of the targets can run on this host",
            hint=refused[0].hint if refused else "see isobench doctor",
        )
    for refusal in refused:
        if refusal.target.name in needed:
            raise IsobenchError(
                f"this host cannot run {refusal.target.name}: {refusal.reason}",
                hint=refusal.hint,
            )
