"""The page on security names its tests, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
NAMED = re.compile(r"`((?:tests|seglam_agents)/[\w/]+\.py)::(\w+)`")


def test_every_row_names_a_test_that_exists() -> None:
    """Each row of the threat table has at least one test, and each named one is a function in its file."""
    page = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")
    table = page.partition("| threat | what defends")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(table) >= 20
    for row in table:
        named = NAMED.findall(row)
        assert named, f"no test: {row[:80]}"
        for path, name in named:
            assert name in functions(REPOSITORY / path), f"{path} has no {name}"


def functions(path: Path) -> set[str]:
    """Return the names of the functions of a module, also those in classes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
