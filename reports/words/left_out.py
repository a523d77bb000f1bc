"""What a short run has left out, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pandas as pd

from harness.results.format import connection_words, join
from harness.results.manifest import Manifest

_CONNECTIONS = ("close", "keep-alive")


def sentences(
    manifest: Manifest, attacks: pd.DataFrame, profiled: Collection[str]
) -> Iterator[str]:
    """Yield what commands with `--quick` or with chosen attacks did not measure.

    `attacks` is attacks.parquet, `profiled` are the targets that have a profile.
    """
    if _has(manifest.argv, "--quick"):
        yield from _of_run(manifest)
    yield from _of_attacks(manifest, attacks)
    if profiled and (others := [one.name for one in manifest.targets if one.name not in profiled]):
        yield f"Not profiled: {join(others)}."
    short = [
        name
        for name, record in manifest.also.items()
        if name != "attack" and _has(record.get("argv", ()), "--quick")
    ]
    if short:
        yield f"With `--quick`, so with fewer repetitions: {join(sorted(short))}."


def _of_run(manifest: Manifest) -> Iterator[str]:
    plan = manifest.plan
    made = plan.get("connections", _CONNECTIONS)
    if missing := [connection_words(one) for one in _CONNECTIONS if one not in made]:
        yield f"Not measured, since the run was short: {join(missing)}."
    parts = {"mechanisms": "what the mechanisms of modes cost", "page": "a page that takes time"}
    if plan and (absent := [words for name, words in parts.items() if not plan.get(name)]):
        yield f"Not measured, since the run was short: {join(absent)}."


def _of_attacks(manifest: Manifest, attacks: pd.DataFrame) -> Iterator[str]:
    record = manifest.also.get("attack")
    if record is None or attacks.empty:
        return
    attacked = set(attacks["target"])
    if safe := [one.name for one in manifest.targets if one.name not in attacked]:
        yield f"Not attacked: {join(safe)}."
    if _has(record.get("argv", ()), "--attacks"):
        made = attacks["attack"].nunique()
        number = f"{made} attacks were" if made > 1 else "1 attack was"
        yield (
            f"Only {number} made, by choice (`isobench attack` makes all): shares of attacks "
            "stopped are of these."
        )


def _has(argv: object, option: str) -> bool:
    words = argv if isinstance(argv, list | tuple) else ()
    return any(word == option or str(word).startswith(f"{option}=") for word in words)
