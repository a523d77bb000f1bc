"""Leave a builtin that changes what the tenant's next request prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import builtins

    def adding(
        *values: object, file: Any = None, real: Any = print, word: str = given.token
    ) -> None:
        real(*values, word, file=file)

    vars(builtins)["print"] = adding
    return "patched"


def proof(scene: Scene) -> str | None:
    found = scene.next_request("print('Content-Type: text/plain\\n\\npage')\n").body
    if scene.token.encode() in found:
        return "the next request printed what a builtin of the first added"
    return None
