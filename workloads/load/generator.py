"""The load generator: a process that lives as long as a run and puts on the load of its trials.

    python -m workloads.load.generator [--otel]

It reads one JSON object a line from stdin and answers with JSON lines on stdout:

    (at the start)     {"event": "ready", "locust": "2.32.0", "gevent": "24.11.1", "pid": 4711}
    {"hello": true}    the same again
    {"verify": ID, LOAD}
                       {"event": "verified", "verify": ID, "tenants": 8}
    {"trial": ID, LOAD, "warmup_s": 0.5, "measure_s": 2.0, "output": "/path/to/rows.npy"}
                       {"event": "measuring", "trial": ID, "at": T}
                       {"event": "measured", "trial": ID, "at": T}
                       {"event": "done", "trial": ID, "asked_first": 8,
                        ...the fields of `trials.Outcome`}

A trial that takes turns with those of other generators has `"turns"` in its command, the fields of
`timetable.Timetable` but `epoch`, instead of `warmup_s` and `measure_s`. When its verification is
done, it asks for the epoch, which is to be in the next line, and a moment ahead:

                       {"event": "standing by", "trial": ID, "at": T}
    {"epoch": T}

LOAD stands for the fields that `load.read` takes, T for seconds on CLOCK_MONOTONIC. A trial begins
with a verification of its own, of `asked_first` tenants: 50, and more as far as the seconds in
`wake_s` allow, if that is there. With a `rate` or a `trace` in LOAD it is
open, and `done` comes up to `drain_s` (5) seconds after `measured`: what was to be sent in the
window is waited for. Instead of any answer there may be

    {"event": "failed", "reason": ..., "hint": ..., "evidence": {...} or null}

with the `trial` or `verify` of the command. With `--otel` it tells OpenTelemetry of each trial
before it is `done` (see `telemetry`). It ends when stdin ends, and is killed with its parent.
"""

import ctypes
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from workloads.errors import WorkloadError

if TYPE_CHECKING:
    from workloads.load.telemetry import Telemetry

PR_SET_PDEATHSIG = 1  # linux/prctl.h
TRIALS = "workloads.load.trial"
"""What imports Locust."""


def main() -> int:
    """Serve commands until stdin ends."""
    tie_to_parent()
    # Whoever presses Ctrl-C means the whole run; how to end it is the harness's to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Now that it is safe, the second that it takes to import Locust.
    import_module(TRIALS)
    return speak(import_module("workloads.load.telemetry").Telemetry() if _exports() else None)


def speak(telemetry: "Telemetry | None" = None) -> int:
    """Greet, and serve commands until stdin ends."""
    greet()
    for line in sys.stdin:
        serve(line, telemetry)
    return 0


def tie_to_parent() -> None:
    """Have the kernel kill this process when its parent ends (prctl(2), PR_SET_PDEATHSIG).

    "Parent" is the thread that started it: start it from one that lasts.
    """
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # The parent ended between the two lines above, and no signal will come.
        raise SystemExit(1)


def emit(event: str, **fields: Any) -> None:
    """Write one event."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def greet() -> None:
    """Say that commands can come."""
    emit("ready", locust=version("locust"), gevent=version("gevent"), pid=os.getpid())


def _exports() -> bool:
    return "--otel" in sys.argv[1:]


def serve(line: str, telemetry: "Telemetry | None" = None) -> None:
    """Carry out one command; whatever is wrong with it becomes a `failed` event."""
    subject: dict[str, Any] = {}
    try:
        command = parse(line)
        subject = {key: command[key] for key in ("trial", "verify") if key in command}
        if "hello" in command:
            greet()
        elif "verify" in command:
            verify(command)
        elif "trial" in command:
            trial(command, telemetry)
        else:
            raise WorkloadError(
                "an unknown command", hint="known commands: hello, verify and trial"
            )
    except WorkloadError as error:
        evidence = getattr(error, "evidence", None)
        emit(
            "failed",
            **subject,
            reason=str(error),
            hint=error.hint,
            evidence=asdict(evidence) if evidence else None,
        )


def parse(line: str) -> dict[str, Any]:
    """Return the command on a line. Raises `WorkloadError`."""
    try:
        command = json.loads(line)
    except ValueError as error:
        raise WorkloadError(
            f"a command that is not JSON: {error}", hint="send one JSON object a line"
        ) from None
    if not isinstance(command, dict):
        raise WorkloadError("a command that is not an object", hint="send one JSON object a line")
    return command


def verify(command: dict[str, Any]) -> None:
    """Ask each tenant once. Raises `VerificationFailed`."""
    from workloads.load import spec
    from workloads.load import trial as trials

    tenants = trials.verify(spec.read(command))
    emit("verified", verify=command["verify"], tenants=tenants)


def trial(command: dict[str, Any], telemetry: "Telemetry | None" = None) -> None:
    """Verify, then measure. Raises `WorkloadError`."""
    from workloads.load import trial as trials
    from workloads.load.clients import compiled

    name = command["trial"]
    wanted = trials.Trial.read(command)
    asked_first = trials.verify(wanted.load, wake_s=wanted.wake_s)
    if wanted.load.client == "compiled":
        compiled.functions(wanted.load.library)  # now, since a moment later the clock runs
    if "turns" in command:
        emit("standing by", trial=name, at=time.monotonic())
        wanted = wanted.in_turns(command["turns"], parse(sys.stdin.readline()))
    heard = telemetry.on_request if telemetry else None
    outcome = trials.measure(wanted, lambda event, at: emit(event, trial=name, at=at), heard)
    if telemetry:
        telemetry.pass_on(name)
    emit("done", trial=name, asked_first=asked_first, **asdict(outcome))


if __name__ == "__main__":
    sys.exit(main())
