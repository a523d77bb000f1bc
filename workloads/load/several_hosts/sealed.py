"""Messages between a master and its generators, sealed with a key that both have. Pure.

Locust's own connections know no authentication, and a master tells generators whom to load. So each
message of ours is a JSON text with a keyed hash over its kind, the generator's challenge and the
text (HMAC-SHA256, RFC 2104). A challenge is drawn by a generator when it connects: what was
recorded of an earlier run opens nothing.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from workloads.errors import WorkloadError

PREFIX = "isobench-"


class Unsealed(WorkloadError):
    """A message that somebody without the key has sent, or that was changed on the way."""

    def __init__(self) -> None:
        super().__init__(
            "a message is not sealed with our key",
            hint="give the same key file to serve, run and generate: copy it to all hosts",
        )


def seal(key: bytes, kind: str, challenge: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the message that carries these fields."""
    text = json.dumps(fields)
    return {"text": text, "seal": _hash(key, kind, challenge, text)}


def open_sealed(key: bytes, kind: str, challenge: str, message: object) -> dict[str, Any]:
    """Return the fields of a message. Raises Unsealed."""
    if not isinstance(message, Mapping):
        raise Unsealed
    text, seal_ = message.get("text"), message.get("seal")
    if not isinstance(text, str) or not isinstance(seal_, str):
        raise Unsealed
    if not hmac.compare_digest(seal_.encode(), _hash(key, kind, challenge, text).encode()):
        raise Unsealed
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise Unsealed
    return fields


def _hash(key: bytes, kind: str, challenge: str, text: str) -> str:
    parts = (part.encode() for part in (kind, challenge, text))
    return hmac.new(key, b"\0".join(parts), hashlib.sha256).hexdigest()
