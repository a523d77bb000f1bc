"""The modules of the results import each other in one direction, and each name from its home."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from harness import results

FOLDER = Path(results.__file__).parent
MODULES = {
    ".".join(file.relative_to(FOLDER).with_suffix("").parts): ast.parse(file.read_text())
    for file in FOLDER.rglob("*.py")
}
PACKAGE = "harness.results"


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the modules of the results that are imported anywhere, in functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield from (known for known in MODULES if f"{name}.".startswith(f"{PACKAGE}.{known}."))


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {name: set(imported(tree)) for name, tree in MODULES.items()}
    assert graph["folder"] >= {"schema", "summary", "comparison.compare"}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def test_no_module_offers_the_names_of_another() -> None:
    for name, tree in MODULES.items():
        exported = [
            target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        ]
        assert "__all__" not in exported, name
