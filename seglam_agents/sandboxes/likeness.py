"""What Monty takes for the same and Python does not: keys of different types that are equal, and NaN within lists."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import isnan
from typing import Final

from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import Problem
from seglam_agents.sandboxes.naming import LOOKED_AT, dotted, parsed

NOT_A_NUMBER: Final = "a number is NaN, which equals itself within lists in Monty, and not in Python"
_SETS: Final = frozenset({"set", "frozenset"})
_COUNTING: Final = frozenset({"index", "count", "remove"})


def likeness_problems(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Return where a program counts on the one or the other."""
    yield from _equal_keys(nodes, imported)
    if any(map(_compares, nodes)):
        for node in nodes:
            if isinstance(node, (ast.Call, ast.Attribute, ast.Name)) and _makes_nan(node, imported):
                yield Problem(node.lineno, "NaN equals itself within lists and sets here: use None for what is missing")


@lru_cache(maxsize=LOOKED_AT)
def compares_values(source: str) -> bool:
    """Tell whether a program compares values of which one may hold NaN."""
    return any(map(_compares, ast.walk(parsed(source))))


def holds_nan(value: Value) -> bool:
    """Tell whether a value is NaN, or holds it."""
    waiting: list[Value] = [value]
    while waiting:
        match waiting.pop():
            case float() as number if isnan(number):
                return True
            case list() as items:
                waiting.extend(items)
            case dict() as items:
                waiting.extend(items.values())
            case _:
                pass
    return False


def _equal_keys(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Refuse keys that are written out in one dict, or in several that may be put together, as 1 and as True."""
    apart = not any(map(_puts_together, nodes))
    everywhere: dict[object, type] = {}
    # What is written into a dict by its key may be written into any of them.
    displays = [node for node in nodes if apart and isinstance(node, ast.Dict)]
    kept = {id(node) for node in displays}
    for node in (*(node for node in nodes if id(node) not in kept), *displays):
        seen = dict(everywhere) if id(node) in kept else everywhere
        for key in _keys(node, imported):
            if seen.setdefault(key.value, type(key.value)) is not type(key.value):
                yield Problem(
                    key.lineno,
                    f"the key {key.value!r} is written with another type as well, such as 1 and True, and a dict keeps "
                    "the other one here: write it one way, or as text",
                )


def _puts_together(node: ast.AST) -> bool:
    """Tell whether dicts may become one here."""
    match node:
        case ast.Dict(keys=keys):
            return None in keys
        case ast.BinOp(op=ast.BitOr()) | ast.AugAssign(op=ast.BitOr()):
            return True
        case ast.Call(func=ast.Attribute(attr="update")):
            return True
        case ast.Call(func=ast.Name(id="dict"), args=[_, *_]):
            return True
        case _:
            return False


def _keys(node: ast.AST, imported: Mapping[str, str]) -> list[ast.Constant]:
    match node:
        case ast.Dict(keys=keys):
            found: Sequence[ast.expr | None] = keys
        case ast.Subscript(slice=ast.Constant() as key, ctx=ast.Store()):
            found = [key]
        case ast.Call(func=ast.Attribute(attr="setdefault"), args=[key, *_]):
            found = [key]
        case ast.Call(args=[ast.List(elts=items) | ast.Tuple(elts=items), *_]) if _makes_keys(node, imported):
            found = items
        case _:
            found = []
    return [key for key in found if isinstance(key, ast.Constant)]


def _makes_keys(node: ast.Call, imported: Mapping[str, str]) -> bool:
    fromkeys = isinstance(node.func, ast.Attribute) and node.func.attr == "fromkeys"
    return fromkeys or dotted(node.func, imported) == "collections.Counter"


def _compares(node: ast.AST) -> bool:
    match node:
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [left, *others]
            equal = any(isinstance(op, (ast.Eq, ast.NotEq)) for op in ops)
            within = any(isinstance(op, (ast.In, ast.NotIn)) for op in ops)
            return (equal and not any(map(_is_plain, sides))) or (within and not all(map(_is_plain, others)))
        case ast.Set() | ast.SetComp():
            return True
        case ast.Name(id=name):
            return name in _SETS
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in _COUNTING
        case _:
            return False


def _is_plain(node: ast.expr) -> bool:
    """Tell whether an expression is written out, so that it holds no NaN."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return all(map(_is_plain, node.elts))
    return isinstance(node, (ast.Constant, ast.JoinedStr))


def _makes_nan(node: ast.Call | ast.Attribute | ast.Name, imported: Mapping[str, str]) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(text))]):
            return text.strip().lower().lstrip("+-") == "nan"
        case ast.Attribute() | ast.Name():
            return dotted(node, imported) == "math.nan"
        case _:
            return False
