"""Import machine code that lies in one's own site."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_guard"


def attack(given: Given) -> object:
    import importlib.machinery
    import importlib.util
    import os
    import sys
    import sysconfig

    given.must_be_guarded()
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    library = [entry for entry in sys.path if entry.endswith("lib-dynload")]
    with open(f"{library[0]}/_lsprof{suffix}", "rb") as file:
        content = file.read()
    path = f"{given.drop}/_lsprof{suffix}"
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, 0o755)
    loader = importlib.machinery.ExtensionFileLoader("_lsprof", path)
    spec = importlib.util.spec_from_loader("_lsprof", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    return module.__file__


def proof(scene: Scene) -> str | None:
    for pid in scene.processes():
        if str(scene.drop / "_lsprof") in scene.maps(pid):
            return "the attacker's machine code is mapped into the worker"
    return None
