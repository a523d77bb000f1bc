"""PHP in several products: Debian's own php.ini and opcache, and what is set beyond them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

OPCACHE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"opcache": ("default", "checked")}
)
"""The factor of each product with PHP. `default` is Debian's: a file that is in the cache is not
looked at again for two seconds, nor is it asked whether the process may read it. `checked` asks
both at each request, which comes near to what modes do that open the script each time."""

_CHECKED: Final = "opcache.validate_permission=1\nopcache.revalidate_freq=0\n"


def files(opcache: str, script_seconds: int) -> dict[str, str]:
    """Return the file of settings that is read after Debian's own; 0 seconds: its usual limit."""
    text = "log_errors=0\ndisplay_errors=0\n"
    text += f"max_execution_time={script_seconds}\n" if script_seconds else ""
    return {"php.d/isobench.ini": text + (_CHECKED if opcache == "checked" else "")}


def environment(run: str) -> dict[str, str]:
    """Return what has PHP read them; the empty first directory stands for the compiled-in one."""
    return {"PHP_INI_SCAN_DIR": f":{run}/php.d"}
