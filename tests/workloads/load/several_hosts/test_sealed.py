"""Messages that only who has the key can make and open."""

from __future__ import annotations

import pytest

from workloads.load.several_hosts.sealed import Unsealed, open_sealed, seal

KEY, CHALLENGE = b"k" * 32, "c1"


def test_who_has_the_key_opens_what_was_sealed() -> None:
    message = seal(KEY, "trial", CHALLENGE, {"users": 8})
    assert open_sealed(KEY, "trial", CHALLENGE, message) == {"users": 8}


@pytest.mark.parametrize(
    ("key", "kind", "challenge"),
    [(b"o" * 32, "trial", CHALLENGE), (KEY, "measure", CHALLENGE), (KEY, "trial", "c2")],
    ids=["another key", "another kind", "an earlier conversation"],
)
def test_what_was_sealed_otherwise_stays_closed(key: bytes, kind: str, challenge: str) -> None:
    message = seal(KEY, "trial", CHALLENGE, {"users": 8})
    with pytest.raises(Unsealed):
        open_sealed(key, kind, challenge, message)


def test_a_changed_text_stays_closed() -> None:
    message = seal(KEY, "trial", CHALLENGE, {"users": 8})
    with pytest.raises(Unsealed):
        open_sealed(KEY, "trial", CHALLENGE, {**message, "text": '{"users": 9}'})


@pytest.mark.parametrize("message", [None, "text", [], {}, {"text": "{}"}, {"text": 1, "seal": 2}])
def test_what_is_no_message_stays_closed(message: object) -> None:
    with pytest.raises(Unsealed) as caught:
        open_sealed(KEY, "trial", CHALLENGE, message)
    assert "--" not in str(caught.value)
    assert "key" in caught.value.hint
