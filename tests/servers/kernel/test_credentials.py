"""Changes of identity, each in a forked child and read back from the kernel."""

import os
from collections.abc import Callable

import pytest

from servers.kernel import syscalls
from servers.kernel.all_ids import CredentialError
from servers.kernel.credentials import Identity, Switch, current, drop_for_good
from tests.servers.forked import in_child
from tests.servers.live import needs_root

pytestmark = needs_root

HOME = Identity(46000, 46000)
OWNER = Identity(46001, 46002, (46003, 46004))
KEPT = syscalls.capability_mask(syscalls.CAP_SETUID, syscalls.CAP_SETGID)


def refused(action: Callable[..., object], *arguments: object) -> bool:
    try:
        action(*arguments)
    except OSError:
        return True
    return False


def test_drop_for_good_changes_everything() -> None:
    def drop() -> tuple[object, ...]:
        drop_for_good(OWNER)
        return os.getresuid(), os.getresgid(), os.getgroups(), syscalls.capget()

    uids, gids, groups, capabilities = in_child(drop)
    assert uids == (46001,) * 3
    assert gids == (46002,) * 3
    assert groups == [46003, 46004]
    assert capabilities == syscalls.Capabilities()


def test_there_is_no_way_back_from_a_drop() -> None:
    def drop_and_return() -> list[bool]:
        drop_for_good(OWNER)
        everything = syscalls.capability_mask(*range(40))
        return [
            refused(os.setuid, 0),
            refused(os.setresuid, 0, 0, 0),
            refused(os.setgid, 0),
            refused(os.setgroups, []),
            refused(syscalls.capset, syscalls.Capabilities(everything, everything)),
            refused(syscalls.unshare, syscalls.CLONE_NEWNS),
        ]

    assert in_child(drop_and_return) == [True] * 6


def test_drop_by_an_ordinary_user_to_itself() -> None:
    def drop_twice() -> tuple[Identity, syscalls.Capabilities]:
        drop_for_good(HOME)
        drop_for_good(HOME)
        return current(), syscalls.capget()

    assert in_child(drop_twice) == (HOME, syscalls.Capabilities())


def test_ordinary_user_cannot_become_another() -> None:
    def drop_to_another() -> bool:
        drop_for_good(HOME)
        return refused(drop_for_good, OWNER)

    assert in_child(drop_to_another)


def test_switch_forbids_its_own_return() -> None:
    def go_for_good() -> tuple[list[bool], Identity, syscalls.Capabilities]:
        switch = Switch(HOME)
        switch.to(OWNER)
        switch.forbid_return()
        tried = [refused(switch.back), refused(os.setuid, HOME.uid), refused(os.setgroups, [])]
        return tried, current(), syscalls.capget()

    assert in_child(go_for_good) == ([True] * 3, OWNER, syscalls.Capabilities())


def test_switch_rests_at_home_with_two_capabilities() -> None:
    def rest() -> tuple[Identity, syscalls.Capabilities]:
        Switch(HOME)
        return current(), syscalls.capget()

    assert in_child(rest) == (HOME, syscalls.Capabilities(0, KEPT))


def test_switch_there_and_back_again() -> None:
    def travel() -> list[tuple[object, ...]]:
        switch = Switch(HOME)
        seen: list[tuple[object, ...]] = []
        for _ in range(2):
            switch.to(OWNER)
            seen.append((current(), syscalls.capget(), os.getresuid()))
            switch.back()
            seen.append((current(), syscalls.capget(), os.getresuid()))
        return seen

    there = (OWNER, syscalls.Capabilities(0, KEPT), (46001,) * 3)
    back = (HOME, syscalls.Capabilities(0, KEPT), (46000,) * 3)
    assert in_child(travel) == [there, back] * 2


def test_switched_script_cannot_set_its_uid_as_it_is() -> None:
    def set_uid() -> list[bool]:
        Switch(HOME).to(OWNER)
        return [refused(os.setuid, 0), refused(os.setuid, HOME.uid), refused(os.setgroups, [0])]

    assert in_child(set_uid) == [True] * 3


def test_script_that_gives_up_the_capabilities_blocks_the_way_back() -> None:
    def give_up() -> bool:
        switch = Switch(HOME)
        switch.to(OWNER)
        syscalls.capset(syscalls.Capabilities())
        return refused(switch.back)

    assert in_child(give_up)


def test_change_that_did_not_happen_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "setresuid", lambda *_: None)

    def drop() -> str:
        try:
            drop_for_good(OWNER)
        except CredentialError as error:
            return str(error)
        return "believed it"

    assert "asked for 46001, 46002" in in_child(drop)
