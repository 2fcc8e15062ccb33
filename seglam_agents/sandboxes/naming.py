"""`parsed`: a program as a tree; `imports`, `dotted` and `own_attributes`: what its names stand for."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence

LOOKED_AT = 65_536
"""Programs of which it is remembered what was found in them: looking costs more than a run, and a store holds many."""


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


def own_attributes(nodes: Sequence[ast.AST]) -> frozenset[str]:
    """Return the names of the methods and fields of a program's own classes."""
    found = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            found.update(_members(node.body))
    return frozenset(found)


def _members(body: Sequence[ast.stmt]) -> Iterator[str]:
    for part in body:
        match part:
            case ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass
