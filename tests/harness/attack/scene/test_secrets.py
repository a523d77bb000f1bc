"""What is planted on a scene's sites: new at each scene, and whose it says it is."""

from pathlib import Path

import pytest

from harness.attack.scene.secrets import Planted
from harness.target.server import Site
from harness.target.targets import python
from tests.harness.live import needs_root
from workloads import tenants
from workloads.proof import Identity

pytestmark = needs_root
FIRST = 46_920
WWW = Identity(FIRST, FIRST)


def planted_in(place: Path) -> Planted:
    place.mkdir()
    attacker, neighbour = tenants.create(
        place / "sites",
        count=2,
        www=WWW,
        first_uid=FIRST + 1,
        interpreter=f"{python()} -IS",
        workloads=(),
    )
    site = Site(
        sites=place / "sites",
        private=place,
        www_uid=WWW.uid,
        www_gid=WWW.gid,
        privileged=True,
        log=place / "log",
    )
    return Planted.on(site, WWW, attacker, neighbour)


def test_no_two_words_are_the_same_in_one_scene_or_the_next(tmp_path: Path) -> None:
    one, other = planted_in(tmp_path / "one"), planted_in(tmp_path / "other")
    words = [*one.words.values(), *other.words.values()]
    assert len(set(words)) == len(words)
    assert one.words.keys() >= {"source", "database", "environment", "file", "typed"}


def test_each_word_is_where_its_place_says(tmp_path: Path) -> None:
    planted = planted_in(tmp_path / "one")
    neighbour, attacker = planted.neighbour.site, planted.attacker.site
    assert planted.words["source"] in (neighbour / "witness.py").read_text()
    assert planted.words["file"] in (neighbour / "config.secret").read_text()
    assert planted.words["database"].encode() in (neighbour / "data" / "app.db").read_bytes()
    assert planted.words["listing"] in {path.stem[1:] for path in neighbour.glob("q*.py")}
    assert planted.words["group"] == (attacker / "group.secret").read_text()


@pytest.mark.parametrize(
    ("name", "uid", "gid", "mode"),
    [
        ("group.secret", 0, FIRST, 0o040),
        ("setuid", 0, 0, 0o4755),
        ("drop", FIRST + 1, FIRST, 0o777),
    ],
)
def test_what_lies_in_the_attackers_site_has_its_owner_and_mode(
    tmp_path: Path, name: str, uid: int, gid: int, mode: int
) -> None:
    status = (planted_in(tmp_path / "one").attacker.site / name).stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (uid, gid, mode)


def test_a_script_is_its_tenants_and_readable_for_the_server_alone(tmp_path: Path) -> None:
    planted = planted_in(tmp_path / "one")
    path = planted.script(planted.neighbour, "new.py", "print(1)\n", WWW)
    status = path.stat()
    assert path.read_text() == f"#!{python()} -IS\nprint(1)\n"
    assert (status.st_uid, status.st_gid) == (planted.neighbour.uid, WWW.gid)
    assert status.st_mode & 0o777 == 0o750
