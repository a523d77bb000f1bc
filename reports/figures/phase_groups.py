"""Phases by what they are for: the colours of the waterfall, and the words for where time goes."""

from __future__ import annotations

from typing import Final

GROUPS: Final = {
    "network and waking": ("accept", "receive", "delivery"),
    "HTTP and paths": (
        "read head", "parse", "locate", "parse and locate", "prepare", "response",
        "close connection",
    ),
    "process or thread": (
        "fork", "thread start", "close descriptors", "ask zygote", "take job", "get worker",
        "hand over", "wake worker",
    ),
    "credentials, walls": (
        "client's credential", "credential change", "switch back", "outer walls", "inner walls",
    ),
    "exec, interpreter": (
        "exec", "exec of wrapper", "checks and exec", "interpreter start", "interpreter end",
    ),
    "opening the script": ("open script", "enter script", "leave script"),
    "imports": ("imports",),
    "script": ("script",),
    "answer, exit, reap": (
        "answer", "exit", "reap", "thread end", "have child reaped", "fetch answer", "restore",
    ),
    "new worker": ("respawn", "start worker"),
    "unexplained": ("unexplained",),
}  # fmt: skip
OTHER: Final = "the mode"
"""The group of phases that no mode of isobench has."""

_OF: Final = {phase: group for group, phases in GROUPS.items() for phase in phases}

ORDER: Final = (*GROUPS, OTHER)


def group_of(phase: str) -> str:
    """Return the group of a phase."""
    return _OF.get(phase, OTHER)
