"""Which tenant and which script a request names."""

import os
from pathlib import Path

import pytest

import servers.sites
from servers.http import BadRequest
from servers.kernel.credentials import Identity
from servers.sites import NotFound, Site, Sites


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("t0001", "t0002"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    return tmp_path


@pytest.mark.parametrize(
    "host", [b"t0001", b"t0001.localhost", b"T0001.LocalHost:8080", b"t0001:1"]
)
def test_first_label_names_the_tenant(root: Path, host: bytes) -> None:
    assert Sites(root).find(host).name == "t0001"


@pytest.mark.parametrize(
    "host", [b"", b".", b"t9999", b"..", b"../t0001", b"file", b"\xff", b"t\0"]
)
def test_unknown_tenants_are_not_found(root: Path, host: bytes) -> None:
    with pytest.raises(NotFound):
        Sites(root).find(host)


def test_owner_is_whoever_owns_the_directory(root: Path) -> None:
    uid = os.getuid()
    assert [site.owner for site in Sites(root)] == [Identity(uid, uid)] * 2
    assert len(Sites(root)) == 2


def test_tenant_that_arrives_later_is_found(root: Path) -> None:
    sites = Sites(root)
    with pytest.raises(NotFound):
        sites.find(b"t0003")
    (root / "t0003").mkdir()
    assert sites.find(b"t0003").name == "t0003"


def test_symbolic_link_does_not_make_a_late_tenant(root: Path) -> None:
    sites = Sites(root)
    (root / "t0003").symlink_to(root / "t0001")
    with pytest.raises(NotFound):
        sites.find(b"t0003")


@pytest.mark.parametrize(
    ("target", "name", "info"),
    [
        (b"/hello.py", b"/hello.py", None),
        (b"/hello.py?a=/../b.py", b"/hello.py", None),
        (b"/a/b.py/c/d", b"/a/b.py", b"/c/d"),
        (b"/a.py/b.py", b"/a.py", b"/b.py"),
        (b"/a.py/", b"/a.py", b"/"),
        (b"/sp%20ace.py", b"/sp ace.py", None),
        (b"/%61.py/%C3%A4", b"/a.py", "/ä".encode()),
    ],
)
def test_path_is_split_into_script_and_info(
    root: Path, target: bytes, name: bytes, info: bytes | None
) -> None:
    script = Sites(root).find(b"t0001").script(target)
    directory = os.fsencode(root / "t0001")
    assert script.path == directory + name
    assert script.environment[b"SCRIPT_NAME"] == name
    assert script.environment.get(b"PATH_INFO") == info
    translated = None if info is None else directory + info
    assert script.environment.get(b"PATH_TRANSLATED") == translated


@pytest.mark.parametrize("target", [b"/", b"/a", b"/a.pyc", b"/.py", b"/.a.py", b"/config.secret"])
def test_no_script_is_named(root: Path, target: bytes) -> None:
    with pytest.raises(NotFound):
        Sites(root).find(b"t0001").script(target)


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"hello.py",
        b"http://t0002/hello.py",
        b"*",
        b"/../t0002/hello.py",
        b"/%2e%2E/hello.py",
        b"/a%2f..%2fhello.py",
        b"/hello.py/..",
        b"/hello.py%00",
    ],
)
def test_paths_out_of_the_site_are_refused(root: Path, target: bytes) -> None:
    with pytest.raises(BadRequest):
        Sites(root).find(b"t0001").script(target)


def test_endless_supply_of_paths_is_not_kept(root: Path) -> None:
    site = Sites(root).find(b"t0001")
    for number in range(2000):
        site.script(b"/hello.py/%d/" % number + b"x" * 8000)
    assert len(servers.sites._scripts) < 400
    assert servers.sites._scripts.size <= 8 * 1024 * 1024


def test_endless_supply_of_hosts_is_not_kept(root: Path) -> None:
    sites = Sites(root)
    for number in range(300):
        assert sites.find(b"t0001.%d." % number + b"x" * 16_000).name == "t0001"
    assert len(sites._by_host) < 100
    assert sites._by_host.size <= 1024 * 1024


@pytest.mark.parametrize(
    "target",
    [b"//a/b.py", b"/./a/b.py", b"/a//b.py", b"/a/././b.py", b"/%2e/%61%2f/b.py", b"///a/b.py"],
)
def test_one_file_has_one_name(root: Path, target: bytes) -> None:
    site = Sites(root).find(b"t0001")
    plain, script = site.script(b"/a/b.py"), site.script(target)
    assert (script.path, script.environment) == (plain.path, plain.environment)


def test_sites_of_one_directory_with_other_owners_are_not_mistaken(root: Path) -> None:
    first, second = (Site("t", root, Identity(number, number)) for number in (1, 2))
    assert first.script(b"/a.py").site is first
    assert second.script(b"/a.py").site is second
