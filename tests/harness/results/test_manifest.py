"""run.json: what is written is read back, and damage is named."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from harness.errors import Caution, IsobenchError
from harness.results.manifest import MEMBERS, SCHEMA, Manifest, Skipped, Target

MANIFEST = Manifest(
    run_id="r1",
    isobench="0.1.0",
    commit=None,
    started_at="2026-03-01T12:00:00+00:00",
    argv=("isobench", "run"),
    arguments={"blocks": 5},
    seed=7,
    plan={"blocks": 5},
    machine={"cpu": {"model": "x"}},
    versions={"python": "3.11"},
    targets=(Target("dso", "mode", "mod_php", "server", "embedded"),),
    skipped=(Skipped("suzuki", "no CAP_NET_RAW", "run as root"),),
    interpreter={"path": "/usr/bin/python3"},
    warnings=(Caution("governor", "set it"),),
    cores={"server": [0], "generator": [1]},
)


def test_round_trip() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST
    assert json.loads(MANIFEST.to_json())["schema"] == SCHEMA


def test_every_member_is_checked() -> None:
    assert set(MEMBERS) == {field.name for field in fields(Manifest)}


def test_a_targets_recipe_is_read_and_may_be_missing() -> None:
    forking = replace(MANIFEST, targets=(replace(MANIFEST.targets[0], recipe=("fork",)),))
    assert Manifest.from_json(forking.to_json()) == forking
    content = json.loads(forking.to_json())
    del content["targets"][0]["recipe"]
    assert Manifest.from_json(json.dumps(content)) == MANIFEST


def test_a_member_that_an_older_version_lacked_is_empty() -> None:
    content = json.loads(replace(MANIFEST, stopped={"by": "blocks"}).to_json())
    del content["stopped"]
    assert Manifest.from_json(json.dumps(content)) == MANIFEST


def test_attacks_are_read_from_where_an_older_version_had_them() -> None:
    costs, attack = ({"argv": ["isobench", name], "seed": 3} for name in ("costs", "attack"))
    content = json.loads(replace(MANIFEST, also={"costs": costs}).to_json())
    older = json.dumps({**content, "attacks": attack})
    assert Manifest.from_json(older) == replace(MANIFEST, also={"costs": costs, "attack": attack})
    assert Manifest.from_json(json.dumps({**content, "attacks": {}})).also == {"costs": costs}


def test_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        replace(MANIFEST, plan={"x": float("nan")}).to_json()


def test_a_newer_schema_says_so() -> None:
    newer = json.dumps({**json.loads(MANIFEST.to_json()), "schema": SCHEMA + 1, "more": 1})
    with pytest.raises(IsobenchError, match="reads up to") as caught:
        Manifest.from_json(newer)
    assert "update isobench" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        MANIFEST.to_json()[:-20],
        json.dumps({"schema": 1}),
        json.dumps({**json.loads(MANIFEST.to_json()), "schema": "1"}),
        json.dumps({**json.loads(MANIFEST.to_json()), "seed": "7"}),
        json.dumps({**json.loads(MANIFEST.to_json()), "extra": 1}),
        json.dumps({**json.loads(MANIFEST.to_json()), "attacks": ["x"]}),
        json.dumps({**json.loads(MANIFEST.to_json()), "targets": [{"name": "x"}]}),
        json.dumps({**json.loads(MANIFEST.to_json()), "warnings": ["x"]}),
    ],
)
def test_damage_is_named(text: str) -> None:
    with pytest.raises(IsobenchError, match=r"there/run.json is damaged") as caught:
        Manifest.from_json(text, source="there/run.json")
    assert caught.value.hint
