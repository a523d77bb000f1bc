"""Start a program by the function below subprocess, which reports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PHP_CONTROL = "careless_php_guard"
CONTROL = "careless_guard"


def attack(given: Given) -> object:
    import os

    given.must_be_guarded()
    import importlib

    fork_exec = importlib.import_module("_posixsubprocess").fork_exec

    read, write = os.pipe()
    failed, fail = os.pipe()
    # cat SECRET, its output into the pipe; subprocess calls it like that in Python 3.11 to 3.13.
    process = fork_exec(
        [b"/bin/cat", f"{given.neighbour}/config.secret".encode()], (b"/bin/cat",),
        True, (fail,), None, None, -1, -1, read, write, -1, -1, failed, fail,
        False, False, -1, None, None, None, -1, None, False,
    )  # fmt: skip
    for descriptor in (write, fail):
        os.close(descriptor)
    text = os.read(read, 4096)
    os.waitpid(process, 0)
    for descriptor in (read, failed):
        os.close(descriptor)
    return text


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secret, "the neighbour's secret")
