"""What the command `doctor` does: what this host can run, and what harms measurements here."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.commands.groundwork.runnable import sort_out
from harness.errors import Caution
from harness.host import settings, speed, user_namespace
from harness.host.cores import own_cores
from harness.host.settings import contention
from harness.host.speed import Speeds
from harness.plan.interleaving import SHORTEST_S
from harness.plan.plan import CONNECTIONS
from harness.results.format import duration, percent, span
from harness.target.run_resources import RunResources
from harness.target.sites import settle
from harness.target.targets import Refusal, Target, available, choose, peers_beside
from harness.terminal import styled

WIDTH: Final = 0.05
"""To within which share a ratio is to be known, when it is told how long a run takes."""

_MUCH_AWAY: Final = 0.05


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


def start(
    names: Sequence[str] | None, modules: Sequence[Path], watch_s: float, console: Console
) -> None:
    """Examine the host for these targets and show what was found.

    `names` None stands for all modes and the real products beside them; `modules` are files of
    modules that no package has. `watch_s` is how long to watch the speed of the server's processor,
    0 for not at all. Raises IsobenchError.
    """
    found = diagnose(choose(_all_names() if names is None else names, peers=True, modules=modules))
    console.print(styled(("identities", "bold"), f"  {found.identities}\n"))
    console.print(_modes(found))
    for heading, cautions in (
        ("harms measurements here", found.cautions),
        ("worth knowing", found.remarks),
    ):
        if cautions:
            console.print(styled("\n", (heading, "bold")))
            console.print(_list(_with_remedy(caution) for caution in cautions))
    if watch_s:
        console.print(styled("\n", ("the speed of the server's processor", "bold")))
        modes = [target for target in found.usable if not target.is_peer]
        console.print(_list(of_speed(watch_speed(watch_s), len(modes) - 1)))


def _all_names() -> list[str]:
    names = [one.name for one in available()]
    return [*names, *(one.name for one in peers_beside(names))]


def _modes(found: Diagnosis) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for heading in ("mode", "", "precedent, or what is missing and how to get it"):
        table.add_column(heading, overflow="fold")
    for target in found.usable:
        table.add_row(target.name, styled(("available", "green")), target.precedent)
    for refusal in found.refused:
        words = styled(f"{refusal.reason}\n", ("remedy:", "bold"), f" {refusal.hint}")
        table.add_row(refusal.target.name, styled(("missing", "yellow")), words)
    return table


def _with_remedy(caution: Caution) -> Text:
    return styled(f"{caution.about}\n", ("remedy:", "bold"), f" {caution.advice}")


def _list(items: Iterable[str | Text]) -> Table:
    lines = Table.grid(padding=(0, 1))
    for item in items:
        lines.add_row("-", item)
    return lines


def diagnose(targets: Sequence[Target]) -> Diagnosis:
    """Examine the host, with tenants that are made for it and removed again."""
    others = tuple(contention.watch_processes())  # before there are processes of ours
    with RunResources() as resources:
        usable, refused = sort_out(targets, settle(resources, 2, None))
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


def watch_speed(seconds: float) -> Speeds:
    """Watch the speed of the processor on which servers run, for so many seconds."""
    server = own_cores().server
    return speed.speeds(speed.watch(server, seconds))


def of_speed(found: Speeds, ratios: int) -> Iterator[str]:
    """Yield what a processor's speed says of the host, and how long so many ratios take. Pure."""
    yield from _steadiness(found)
    if found.away > _MUCH_AWAY:
        yield (
            f"Others had this processor for {percent(found.away)} of the time: "
            "look again with nothing else running."
        )
    if ratios:
        yield from _length_of_run(found, ratios)


def _steadiness(found: Speeds) -> Iterator[str]:
    watched = span(found.seconds)
    if not found.noisy:
        yield (
            f"It kept one speed for {watched}; one calculation differs from the next by "
            f"{percent(found.scatter)}. Changes that are rarer than that are not seen."
        )
        return
    changes = "was 1 change" if found.changes == 1 else f"were {found.changes} changes"
    stays = (
        f"{duration(1e6 * dwell_s)} at the {level}"
        for level, dwell_s in (("fast", found.dwell_fast_s), ("slow", found.dwell_slow_s))
        if not math.isnan(dwell_s)
    )
    yield (
        f"It has two speeds: work takes {found.ratio:.2g} times as long for "
        f"{percent(found.slow_share)} of the time. In {watched} there {changes}; it stays "
        f"for {', for '.join(stays)} one, on average."
    )


def _length_of_run(found: Speeds, ratios: int) -> Iterator[str]:
    ways = {
        "in slices of 20 ms": speed.effort(found, WIDTH, 0.02),
        f"in slices of {SHORTEST_S * 1000:g} ms, as in a run": speed.effort(
            found, WIDTH, SHORTEST_S
        ),
        "in trials of 1 s, one after the other": speed.effort(found, WIDTH, 1.0, in_turn=False),
    }
    each = (f"{duration(1e6 * effort.seconds)} {words}" for words, effort in ways.items())
    runs = (span(ratios * len(CONNECTIONS) * effort.seconds) for effort in ways.values())
    yield f"To know one ratio to \N{PLUS-MINUS SIGN}{WIDTH:.0%} takes, of load: {'; '.join(each)}."
    many = "1 ratio" if ratios == 1 else f"{ratios} ratios"
    yield (
        f"For {many} and both kinds of connection that is {', '.join(runs)}, at the least: starts "
        "of servers come on top, and what modes scatter by themselves, which only a run can tell."
    )
