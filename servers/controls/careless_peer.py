"""`python -m servers.controls.careless_peer`: `servers.peer_main`, with doubles for products."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, Literal

from servers import peer_main, peers
from servers.front.startup import containment
from servers.peer import Language, Need, Peer

_IN_PHP: Final = Path(__file__).with_name("careless.php")
_IN_PERL: Final = _IN_PHP.with_suffix(".pl")


class CarelessPhp(Peer):
    """Runs every PHP script as root in one process, and lets it keep whatever it finds there."""

    precedent = "none"
    beside = "dso"
    runs_as: ClassVar[Literal["server", "owner"]] = "server"
    language: ClassVar[Language] = "php"
    needs = (Need("/usr/bin/php", "php-cli"),)
    version_command = ("php", "-v")
    words: ClassVar[Sequence[str]] = ()
    settings: ClassVar[Sequence[str]] = ("ffi.enable=1", "opcache.enable_cli=1", "memory_limit=-1")

    def files(self) -> Mapping[str, str]:
        """Return nothing: all it has to know is on its command line."""
        return {}

    def commands(self) -> Sequence[Sequence[str]]:
        """Return its command."""
        ours = self.setting
        options = [word for setting in self.settings for word in ("-d", setting)]
        given = str(ours.port), str(ours.processes), ours.sites
        return (("/usr/bin/php", *options, str(_IN_PHP), *given, *self.words),)

    def environment(self) -> Mapping[str, str]:
        """Hand on all that whoever starts it has."""
        return os.environ


class CarelessPhpSwitch(CarelessPhp):
    """Changes the effective uid and gid alone, so that scripts can go back to the saved ones."""

    runs_as = "owner"
    words = ("switch",)


class CarelessPhpGuard(CarelessPhp):
    """Has a guard that lets everything pass."""

    settings = (*CarelessPhp.settings, "open_basedir=/")


class CarelessPerl(CarelessPhp):
    """Runs every Perl script as root in one process, and lets it keep whatever it finds there."""

    language = "perl"
    needs = (Need("/usr/share/perl/5*/JSON/PP.pm", "perl"),)
    version_command = ("perl", "-v")

    def commands(self) -> Sequence[Sequence[str]]:
        """Return its command."""
        ours = self.setting
        return (("/usr/bin/perl", str(_IN_PERL), str(ours.port), str(ours.processes), ours.sites),)


DOUBLES: Final[dict[str, type[Peer]]] = {
    "careless_php": CarelessPhp,
    "careless_php_switch": CarelessPhpSwitch,
    "careless_php_guard": CarelessPhpGuard,
    "careless_perl": CarelessPerl,
}


def load(name: str) -> type[Peer]:
    """Return the class of a double. Raises KeyError."""
    return DOUBLES[name]


def hand_everything_on() -> None:
    """Have it keep the host's shared memory."""
    setattr(containment, "ipc_namespace", lambda: 0)  # noqa: B010
    setattr(containment, "hide_shared_memory", lambda visible: None)  # noqa: B010


if __name__ == "__main__":
    peers.load = load
    hand_everything_on()
    sys.exit(peer_main.main())
