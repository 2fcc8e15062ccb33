"""`differences`: what Monty understands otherwise than Python, and says nothing about.

A program that holds such a thing is refused where it is looked at, and once more where it is run: it may have been
stored before the difference was known.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache

from seglam_agents.sandboxes.base import Problem
from seglam_agents.sandboxes.checking import mended
from seglam_agents.sandboxes.laziness import lazy_problems
from seglam_agents.sandboxes.patterns import pattern_problems


@lru_cache(maxsize=1024)
def differences(source: str, tools: frozenset[str]) -> tuple[Problem, ...]:
    """Return what of a program would silently do something else in Monty; nothing where it cannot be read."""
    try:
        tree = ast.parse(source)
        return tuple(_found(tree, tools))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def imports(tree: ast.Module) -> dict[str, str]:
    """Return what the imported names of a program stand for, such as `datetime.datetime` for `D`."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    found[alias.asname or alias.name.partition(".")[0]] = alias.name
            case ast.ImportFrom():
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            case _:
                pass
    return found


def _found(tree: ast.Module, tools: frozenset[str]) -> Iterator[Problem]:
    imported = imports(tree)
    yield from lazy_problems(tree, tools, imported)
    yield from pattern_problems(tree, imported)
    yield from _surrogates(tree)


def _surrogates(tree: ast.Module) -> Iterator[Problem]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and mended(node.value) != node.value:
            yield Problem(node.lineno, "a text holds half of a surrogate pair, which no answer can hold")
