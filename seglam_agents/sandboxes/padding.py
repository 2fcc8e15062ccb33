"""What Monty pads and Python does not: `f"{d:>12}"` of a date, a list, None or an instance of a class."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from functools import lru_cache
from typing import Final

from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import Problem
from seglam_agents.sandboxes.naming import LOOKED_AT, dotted, parsed

_ADVICE: Final = "only text and numbers are padded: write str(…) around it, or strftime() for a date"
_MAKERS: Final = frozenset({"list", "dict", "set", "tuple", "sorted", "frozenset"})
_DATES: Final = frozenset({"date", "datetime", "time", "timedelta"})
_DATE_METHODS: Final = frozenset({"date", "today", "now", "fromisoformat", "strptime", "combine"})


def padding_problems(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Return where a program pads what is visibly no text and no number."""
    padded = [value for node in nodes for value in _padded(node)]
    makers = _MAKERS | {node.name for node in nodes if isinstance(node, ast.ClassDef)} if padded else _MAKERS
    known = _known(nodes, imported, makers) if padded else frozenset[str]()
    for value in padded:
        if _is_odd(value, imported, makers) or (isinstance(value, ast.Name) and value.id in known):
            yield Problem(value.lineno, _ADVICE)


def odd_padding(source: str, entry: str, arguments: Mapping[str, Value]) -> str | None:
    """Return why a program cannot be given these arguments, where it pads one that is no text and no number."""
    for name in _padded_parameters(source, entry) if ":" in source else ():
        value = arguments.get(name, "")
        if value is None or isinstance(value, (date, time, timedelta, list, dict)):
            return f"{name} is a {type(value).__name__}, and {_ADVICE}"
    return None


@lru_cache(maxsize=LOOKED_AT)
def _padded_parameters(source: str, entry: str) -> tuple[str, ...]:
    for function in parsed(source).body:
        if isinstance(function, ast.FunctionDef) and function.name == entry:
            nodes = list(ast.walk(function))
            padded = {value.id for node in nodes for value in _padded(node) if isinstance(value, ast.Name)}
            bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
            named = {
                given.arg for given in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
            }
            return tuple(sorted((padded & named) - bound))
    return ()


def _padded(node: ast.AST) -> list[ast.expr]:
    """Return what is written with a width, or with anything else that is no form of a date."""
    match node:
        case ast.FormattedValue(value=value, conversion=-1, format_spec=ast.JoinedStr(values=parts)) if parts:
            forms = [part.value for part in parts if isinstance(part, ast.Constant)]
            return [] if any("%" in str(form) for form in forms) else [value]
        case ast.Call(func=ast.Name(id="format"), args=[value, ast.Constant(value=str(form))]):
            return [value] if form and "%" not in form else []
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(form)), attr="format"), args=values):
            return list(values) if "{:" in form and "%" not in form else []
        case _:
            return []


def _known(nodes: Sequence[ast.AST], imported: Mapping[str, str], makers: frozenset[str]) -> frozenset[str]:
    """Return the names that are bound to such things, and to nothing else."""
    odd, other = set[str](), set[str]()
    assigned: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            assigned.add(id(node.targets[0]))
            (odd if _is_odd(node.value, imported, makers) else other).add(node.targets[0].id)
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in assigned:
            other.add(node.id)
        elif isinstance(node, ast.arg):
            other.add(node.arg)
    return frozenset(odd - other)


def _is_odd(node: ast.expr, imported: Mapping[str, str], makers: frozenset[str]) -> bool:
    match node:
        case ast.Constant(value=None) | ast.List() | ast.Tuple() | ast.Dict() | ast.Set():
            return True
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return True
        case ast.Call(func=ast.Name(id=name)) if name in makers and name not in imported:
            return True
        case ast.Call(func=function):
            parts = dotted(function, imported).split(".")
            whole = parts[0] == "datetime" and parts[-1] in _DATES | _DATE_METHODS
            return whole or (isinstance(function, ast.Attribute) and function.attr == "date")
        case _:
            return False
