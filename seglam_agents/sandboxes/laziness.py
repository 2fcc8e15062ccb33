"""`lazy_problems`: where a program counts on being lazy, which Monty is not.

Monty runs generator expressions, `map`, `filter` and `zip` to the end as soon as it meets them. Where they act, a
program that books the first free room would book all.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from seglam_agents.sandboxes.base import Problem
from seglam_agents.sandboxes.reach import Reach, arguments, changed, changes, impure

_LAZY: Final = frozenset({"map", "filter", "zip", "enumerate", "reversed"})
_CALLED_INSIDE: Final = "which Monty cannot wait in: write a loop"
_CALLS_BACK: Final = ("itertools.", "iter", "collections.defaultdict")
_TOOLS_WORK_IN: Final = frozenset({"__init__", "__call__", "__enter__", "__exit__"})


def lazy_problems(nodes: Sequence[ast.AST], tools: frozenset[str], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what would run more often, or another number of times, than in Python.

    Args:
        nodes: all of the program.
        tools: the names of its tools.
        imported: what its imported names stand for.
    """
    acting = Reach(nodes, tools)
    changing = Reach(nodes, tools | impure(nodes))
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    for node in nodes:
        for message in (
            *_eager(node, changing),
            *_called_inside(node, acting, imported),
            *_kept(node, functions | tools),
            *_changed_in_loop(node),
        ):
            yield Problem(getattr(node, "lineno", 1), message)


def _eager(node: ast.AST, reach: Reach) -> Iterator[str]:
    """Find calls that act where Python may stop early."""
    match node:
        case ast.GeneratorExp():
            first, *others = node.generators
            parts = [node.elt, *first.ifs, *(part for other in others for part in (other.iter, *other.ifs))]
            if name := reach.culprit(*parts):
                yield f"{name} acts inside a generator expression, which runs to its end here: write a loop"
            elif changes(*parts):
                yield "a generator expression that changes something runs to its end here: write a loop"
        case ast.Call(func=ast.Name(id=("map" | "filter") as name)) if node.args and reach.carries(node.args[0]):
            yield f"{name}() with a function that acts runs to its end here: write a loop"
        case _:
            pass


def _called_inside(node: ast.AST, reach: Reach, imported: Mapping[str, str]) -> Iterator[str]:
    """Find tools that are called by something that cannot wait for them."""
    match node:
        case ast.Call():
            name = _name(node.func, imported)
            if any(word.arg in {"key", "default_factory"} and reach.carries(word.value) for word in node.keywords):
                yield f"a tool is called by the key or factory of {name}(), {_CALLED_INSIDE}"
            elif name.startswith(_CALLS_BACK) and any(map(reach.carries, arguments(node))):
                yield f"a tool is called by {name}(), {_CALLED_INSIDE}"
        case ast.ClassDef():
            for part in node.body:
                if not isinstance(part, ast.FunctionDef) or part.name in _TOOLS_WORK_IN:
                    continue
                if part.name.startswith("__") and reach.culprit(*part.body):
                    yield f"a tool is called by {node.name}.{part.name}: write a method with a plain name"
        case _:
            pass


def _kept(node: ast.AST, functions: set[str] | frozenset[str]) -> Iterator[str]:
    """Find lazy things that live on: they are computed at once here, and can be read twice."""
    match node:
        case (
            ast.Assign(value=value) | ast.AnnAssign(value=value) | ast.Return(value=value) | ast.NamedExpr(value=value)
        ):
            kept = [value]
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            kept = parts
        case ast.Dict(values=parts):
            kept = parts
        case ast.Call(func=ast.Name(id=name)) if name in functions:
            kept = arguments(node)
        case _:
            return
    for value in kept:
        if isinstance(value, ast.GeneratorExp):
            yield "a generator expression is a list here, made at once: write [… for …], or use it where it stands"
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in _LAZY - functions:
            yield f"{value.func.id}(…) is a list here, made at once: write list({value.func.id}(…)), or use it in place"


def _changed_in_loop(node: ast.AST) -> Iterator[str]:
    """Find loops over a lazy view of something that the loop changes."""
    match node:
        case ast.For() if _is_lazy(node.iter):
            looped = {part.id for part in ast.walk(node.iter) if isinstance(part, ast.Name)}
            places = {part.id for part in ast.walk(node.target) if isinstance(part, ast.Name)}
            for name, part in changed(node.body):
                in_place = (
                    isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Name) and part.slice.id in places
                )
                if name in looped and not in_place:
                    yield f"the loop changes {name} while it goes over it: loop over list({name}), or build a new one"
        case _:
            pass


def _is_lazy(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _LAZY
    return isinstance(node, ast.GeneratorExp)


def _name(function: ast.expr, imported: Mapping[str, str]) -> str:
    match function:
        case ast.Name(id=name):
            return imported.get(name, name)
        case ast.Attribute(value=owner, attr=attribute):
            return f"{_name(owner, imported)}.{attribute}"
        case _:
            return "…"
