"""The tables of what is promised name their tests, and these exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
NAMED = re.compile(r"`((?:tests|seglam_agents|integrations)/[\w/-]+\.py)::(?:\w+::)?(\w+)`")


@pytest.mark.parametrize(
    ("page", "heading", "rows"),
    [("security.md", "| threat | what defends", 20), ("writes.md", "| promise | under", 15)],
)
def test_every_row_names_a_test_that_exists(page: str, heading: str, rows: int) -> None:
    """Each row of the table has at least one test, and each named one is a function in its file."""
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    table = text.partition(heading)[2].partition("\n\n")[0].splitlines()[2:]
    assert len(table) >= rows
    for row in table:
        named = NAMED.findall(row)
        assert named, f"no test: {row[:80]}"
        for path, name in named:
            assert name in functions(REPOSITORY / path) | INHERITED, f"{path} has no {name}"


def functions(path: Path) -> set[str]:
    """Return the names of the functions of a module, also those in classes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


INHERITED = functions(REPOSITORY / "seglam_agents" / "testing" / "sandbox_contract.py")
"""What every sandbox is tried with; `tests/unit/test_docs.py` looks at the classes that run it."""
