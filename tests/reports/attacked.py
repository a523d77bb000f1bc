"""Tables of attacks for tests."""

from __future__ import annotations

import pandas as pd

OUTCOMES = {"x": "succeeded", ".": "blocked", " ": "not-applicable", "?": "error"}
NAMES = ("one", "two", "three", "four")
FAMILY = {"one": "reading", "two": "reading", "three": "reading", "four": "writing"}


def attacks(**targets: str) -> pd.DataFrame:
    """Return a table in which each target has a letter for each attack."""
    return pd.DataFrame(
        [
            {
                "target": target,
                "attack": name,
                "outcome": OUTCOMES[letter],
                "evidence": f"evidence of {OUTCOMES[letter]}",
                "family": FAMILY[name],
                "title": f"Title of {name}",
                "runs_as": "server",
                "control": "dso" if name != "four" else None,
                "took_s": 0.1,
                "language": "python",
                "beside": None,
                "precedent": "CVE-2000-1234: a hole" if name == "one" else None,
            }
            for target, letters in targets.items()
            for name, letter in zip(NAMES, letters, strict=True)
        ]
    )


def beside(table: pd.DataFrame, **modes: str) -> pd.DataFrame:
    """Return the table with the mode that each of these products stands beside."""
    return table.assign(beside=table["target"].map(modes))
