"""Host settings that harm measurements: the current value, why it harms, and the remedy.

Each check is a function of a `View`, so that a test can give it a directory of made-up files. A
check that does not find the file it reads yields nothing: the setting does not exist there, may not
be read, or holds what the check does not understand. None of them raises.

There are two lists. What is in `HARMFUL` weakens the results, is written to run.json and shown in
the report. What is in `WORTH_KNOWING` does not, or cannot be changed; only the doctor says it.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Caution
from harness.host.settings.contention import load
from harness.host.settings.cpu import (
    battery,
    clocksource,
    cpu_limit,
    governor,
    hypervisor,
    mitigations,
    one_core,
    one_processor,
    steal,
    turbo,
)
from harness.host.settings.memory import aslr, early_copies, huge_pages, swap
from harness.host.settings.network import connection_tracking, open_files, ports, reused_ports
from harness.host.settings.observation import (
    control_groups,
    cpu_controller,
    old_kernel,
    pressure,
    profiling,
)
from harness.host.settings.view import Check, View


def harmful_settings(view: View | None = None) -> Iterator[Caution]:
    """Yield each setting that weakens the results, with its remedy."""
    view = view or View.of_this_host()
    for check in HARMFUL:
        yield from check(view)


def worth_knowing(view: View | None = None) -> Iterator[Caution]:
    """Yield what else a careful reader wants to know about the host."""
    view = view or View.of_this_host()
    for check in WORTH_KNOWING:
        yield from check(view)


HARMFUL: tuple[Check, ...] = (
    *(one_processor, one_core, cpu_limit, governor, turbo, battery, hypervisor, steal),
    *(clocksource, swap, huge_pages, aslr, load, control_groups, pressure),
    *(open_files, ports, reused_ports, connection_tracking),
)
WORTH_KNOWING: tuple[Check, ...] = (
    mitigations,
    cpu_controller,
    profiling,
    old_kernel,
    early_copies,
)
