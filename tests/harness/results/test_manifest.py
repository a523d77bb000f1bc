"""run.json: what is written is read back, and damage is named."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

import pytest

from harness.errors import Caution, IsobenchError
from harness.results.manifest import SCHEMA, SHAPES, Manifest, Skipped, Target

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


@pytest.mark.parametrize(
    ("cores", "own"),
    [
        ({"server": [0], "generator": [1]}, 1),
        ({"server": (2, 3), "generator": (0,)}, 2),
        ({"server": [0], "generator": [0]}, 0),
        ({"server": [0]}, 0),
        ({}, 0),
        ({"server": "0", "generator": "1"}, 0),
        ({"server": [[0]], "generator": [1]}, 0),
        ({"server": None, "generator": 1}, 0),
    ],
)
def test_the_servers_own_processors(cores: dict[str, object], own: int) -> None:
    assert replace(MANIFEST, cores=cores).server_cores() == own


def test_every_member_is_checked() -> None:
    assert set(SHAPES) == {field.name for field in fields(Manifest)}


def test_a_targets_recipe_is_read_and_may_be_missing() -> None:
    forking = replace(MANIFEST, targets=(replace(MANIFEST.targets[0], recipe=("fork",)),))
    assert Manifest.from_json(forking.to_json()) == forking
    content = json.loads(forking.to_json())
    del content["targets"][0]["recipe"]
    assert Manifest.from_json(json.dumps(content)) == MANIFEST


def test_a_member_that_an_older_version_lacked_is_empty() -> None:
    content = json.loads(MANIFEST.to_json())
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
        MANIFEST.to_json()[:-20],
        json.dumps({"schema": 1}),
        json.dumps({**json.loads(MANIFEST.to_json()), "schema": "1"}),
        json.dumps({**json.loads(MANIFEST.to_json()), "seed": "7"}),
        json.dumps({**json.loads(MANIFEST.to_json()), "extra": 1}),
        json.dumps({**json.loads(MANIFEST.to_json()), "attacks": ["x"]}),
        json.dumps({**json.loads(MANIFEST.to_json()), "targets": [{"name": "x"}]}),
        json.dumps({**json.loads(MANIFEST.to_json()), "warnings": ["x"]}),
        "[" * 100_000,
        json.dumps({"schema": 1, "also": {}})[:-2] + '{"x":' * 50_000,
        '{"schema": ' + "9" * 5000 + "}",
    ],
)
def test_damage_is_named(text: str) -> None:
    with pytest.raises(IsobenchError, match=r"there/run.json is damaged") as caught:
        Manifest.from_json(text, source="there/run.json")
    assert caught.value.hint


WRONG = {
    "argv": [3],
    "seed": True,
    "arguments": {"module": "x"},
    "plan": {"targets": "dso"},
    "cores": [],
    "targets": [{**asdict(MANIFEST.targets[0]), "name": 3}],
    "skipped": [{"target": "x", "reason": None, "hint": ""}],
    "warnings": [{"about": "x"}],
    "stopped": {"by": "budget"},
    "continued_by": [{"isobench": "0.1.0"}],
    "also": {"attack": None, "costs": 3},
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_what_readers_rely_on_is_there_and_of_its_kind(name: str) -> None:
    content = {**json.loads(MANIFEST.to_json()), name: WRONG[name]}
    with pytest.raises(IsobenchError, match=f"run.json is damaged: .*{name}"):
        Manifest.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seconds", "1"), ("loads", None), ("blocks", 2.5), ("knees", [{}]), ("replay", {}),
        ("mechanisms", [None]), ("smallest_effect", "3%"),
    ],
)  # fmt: skip
def test_a_plan_has_members_of_their_kinds(name: str, value: object) -> None:
    content = {**json.loads(MANIFEST.to_json()), "plan": {name: value}}
    with pytest.raises(IsobenchError, match=f"run.json is damaged: plan.{name}"):
        Manifest.from_json(json.dumps(content))


@pytest.mark.parametrize(
    "added",
    [
        *({}, {"argv": [], "seed": "x"}, {"argv": "isobench", "seed": 1}),
        *({"argv": [], "seed": 1, "missing": [{}]}, {"argv": [], "seed": 1, "finished_at": 3}),
    ],
)
def test_what_another_command_added_can_be_repeated(added: object) -> None:
    content = {**json.loads(MANIFEST.to_json()), "also": {"costs": added}}
    with pytest.raises(IsobenchError, match=r"run.json is damaged: also\.costs"):
        Manifest.from_json(json.dumps(content))


@pytest.mark.parametrize("text", ['{"tool": "hyperfine"}', "{}", "[1, 2]", "7", "null"])
def test_the_file_of_another_tool_says_so(text: str) -> None:
    with pytest.raises(IsobenchError, match="was not written by isobench") as caught:
        Manifest.from_json(text, "x/run.json")
    assert "name the folder that a run wrote" in caught.value.hint
