"""Attacks that are broken in one way or the other, and what it takes to make them."""

from dataclasses import replace
from pathlib import Path

from workloads.attacks import Attack, load
from workloads.attacks.scene import Scene


def unproven(scene: Scene) -> str | None:
    """See nothing, as where an attack was blocked."""
    return None


def made_of(directory: Path, statements: str, name: str = "faulty", **fields: object) -> Attack:
    """Return an attack whose script is made of these statements, and which proves nothing."""
    source = directory / f"{name}.py"
    lines = "".join(f"    {line}\n" for line in statements.splitlines())
    source.write_text(f'"""Do what is to be seen here."""\n\n\ndef attack(given):\n{lines}')
    facts = {"proof": unproven, "name": name, "shared": True, "source": source, **fields}
    return replace(load("neighbours_secret"), **facts)  # type: ignore[arg-type]
