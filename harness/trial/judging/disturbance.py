"""What disturbed a trial, as far as the host tells. Pure."""

from __future__ import annotations

from dataclasses import replace

from harness.host import interference
from harness.target import probes
from harness.trial.outcome import UNANSWERED, Seen, Trial


def noise(one: Seen, server_cores: tuple[int, ...], own_cpu_s: float) -> interference.Noise:
    """Return what disturbed the measured window, as far as the host tells.

    `own_cpu_s` is what all servers that lived then have used.
    """
    first, last = one.first, one.last
    if first.host is None or last.host is None:
        return interference.Noise()
    used = probes.between(first, last)
    return interference.during(
        first.host, last.host, server_cores, last.at - first.at, own_cpu_s, used.steal_share
    )


def witnessed(
    trial: Trial,
    noise: interference.Noise,
    before: interference.Witness,
    after: interference.Witness,
    *,
    alike: bool = False,
) -> Trial:
    """Return a trial with what is known of its disturbances. Pure.

    `alike` says that a slow core slowed all that the trial is compared with in the same way. A
    trial is void for what it shows, whatever disturbed it; only one that shows nothing may be so
    because the server had no processor.
    """
    noise = replace(noise, spin_before=before.spin, spin_after=after.spin)
    row = replace(
        trial.row,
        foreign_cpu_share=noise.foreign_cpu_share,
        pressure_share=noise.pressure_share,
        spin_before=before.spin,
        spin_after=after.spin,
        runnable_before=before.runnable,
        runnable_after=after.runnable,
    )
    signs = "; ".join(interference.disturbances(noise, slow_core=not alike))
    if row.verdict == "ok":
        row = replace(row, disturbed=signs)
    elif signs and row.verdict == f"void: {UNANSWERED}":
        row = replace(row, disturbed=signs, verdict=f"{row.verdict}, while {signs}")
    return replace(trial, row=row)
