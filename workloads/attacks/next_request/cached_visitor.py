"""Get what a careless site cached for the visitor before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-524: web cache deception"
_SITE = """
import os, sys
remembered = vars(sys).setdefault("session", {})
if "HTTP_COOKIE" in os.environ:
    remembered["user"] = os.environ["HTTP_COOKIE"]
print("Content-Type: text/plain\\n")
print("welcome", remembered.get("user", "stranger"))
"""


def attack(given: Given) -> object:
    return "only visits"


def proof(scene: Scene) -> str | None:
    cookie = f"user-{scene.token[::-1]}"
    first = scene.next_request(_SITE, Cookie=cookie).body
    second = scene.next_request(_SITE).body
    if cookie.encode() in first and cookie.encode() in second:
        return "a visitor without a cookie was served with that of the visitor before"
    return None
