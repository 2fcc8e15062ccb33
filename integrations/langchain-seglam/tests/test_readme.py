"""The README runs."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_example_prints_what_it_says() -> None:
    """Each line that says in a comment what it prints, prints it."""
    (block,) = re.findall(r"<!-- run -->\n```python\n(.*?)```\n\nWith", README.read_text(), re.DOTALL)
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(block, str(README), "exec"), {"__name__": "readme"})
    said = re.findall(r"print\(.*#\s(.*)$", block, re.MULTILINE)
    assert said and out.getvalue().splitlines() == said


def test_names_exist() -> None:
    """What the README calls by name is there."""
    import langchain_seglam

    for name in re.findall(r"`(?:@)?([A-Za-z_]+)\(", README.read_text()):
        known = name in langchain_seglam.__all__ or name in {"ReasoningCache", "HumanInTheLoopMiddleware", "StateGraph"}
        assert known or name in {"set_llm_cache", "canonicalise"}, name


def test_all_is_sorted_and_importable() -> None:
    """Every public name can be imported."""
    import langchain_seglam

    assert sorted(langchain_seglam.__all__) == list(langchain_seglam.__all__)
    assert all(hasattr(langchain_seglam, name) for name in langchain_seglam.__all__)
