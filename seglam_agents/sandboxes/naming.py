"""`parsed`: a program as a tree; `imports` and `dotted`: what its names stand for."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping


def parsed(source: str) -> ast.Module:
    """Return a program as a tree; without anything in it where it cannot be read."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def imports(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Return what the imported names of a program stand for, such as `datetime.datetime` for `D`."""
    found: dict[str, str] = {}
    for node in nodes:
        match node:
            case ast.Import():
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    found[alias.asname or top] = alias.name if alias.asname else top
            case ast.ImportFrom():
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            case _:
                pass
    return found


def dotted(node: ast.expr, imported: Mapping[str, str]) -> str:
    """Return what a name or an attribute stands for, such as `datetime.datetime.now`, or an empty string."""
    if isinstance(node, ast.Name):
        return imported.get(node.id, "")
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value, imported)
        return f"{owner}.{node.attr}" if owner else ""
    return ""
