"""The README runs, and so does the example."""

from __future__ import annotations

import io
import re
import runpy
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from seglam_agents import hosting

import llama_index.tools.seglam as package

README = Path(__file__).parents[1] / "README.md"
EXAMPLE = Path(__file__).parents[3] / "examples" / "04_text_to_sql.py"


def test_the_example_prints_what_it_says() -> None:
    """Each line that says in a comment what it prints, prints it."""
    (block,) = re.findall(r"<!-- run -->\n```python\n(.*?)```\n\nWith", README.read_text(), re.DOTALL)
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(block, str(README), "exec"), {"__name__": "readme"})
    said = re.findall(r"print\(.*#\s(.*)$", block, re.MULTILINE)
    assert said and out.getvalue().splitlines() == said


def test_the_demonstration_gets_cheaper(capsys: pytest.CaptureFixture[str]) -> None:
    """The last questions cost nothing, and every row is right."""
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    lines = re.findall(r"^ *\d+-\d+ +(\d+) +(\d+) +\d+ +(\d+)/(\d+)$", capsys.readouterr().out, re.MULTILINE)
    assert [int(calls) for _, calls, _, _ in lines][-1] == 0 and int(lines[0][1]) > 0
    assert all(right == asked for _, _, right, asked in lines)


def test_names_exist() -> None:
    """What the README calls by name is there."""
    theirs = {"ReasoningCache", "canonicalise", "run", *hosting.__all__}
    for name in re.findall(r"`(?:tools=\[?)?([A-Za-z_]+)\(", README.read_text()):
        assert name in package.__all__ or name in theirs, name


def test_all_is_sorted_and_importable() -> None:
    """Every public name can be imported."""
    assert sorted(package.__all__) == list(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)


def test_no_package_stands_in_the_way_of_the_namespace() -> None:
    """LlamaIndex is a namespace that many distributions share."""
    root = Path(__file__).parents[1] / "llama_index"
    assert not (root / "__init__.py").exists() and not (root / "tools" / "__init__.py").exists()
    assert (root / "tools" / "seglam" / "py.typed").exists()
