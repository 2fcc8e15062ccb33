"""`lazy_problems`: where a program counts on being lazy, which Monty is not.

Monty runs generator expressions, `map`, `filter` and `zip` to the end as soon as it meets them. Where they act, a
program that books the first free room would book all.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from seglam_agents.sandboxes.base import Problem
from seglam_agents.sandboxes.catching import Catching
from seglam_agents.sandboxes.iterators import Iterators
from seglam_agents.sandboxes.naming import dotted
from seglam_agents.sandboxes.places import LAZY, Places
from seglam_agents.sandboxes.reach import Reach, arguments, changed, changes, impure, impure_methods, root

_CALLED_INSIDE: Final = "which Monty cannot wait in: write a loop"
_CALLS_BACK: Final = ("itertools.", "iter", "collections.defaultdict")
_TOOLS_WORK_IN: Final = frozenset({"__init__", "__call__", "__enter__", "__exit__"})
_IN_PLACE: Final = "use it in place, in a loop or in one call"


def lazy_problems(nodes: Sequence[ast.AST], tools: frozenset[str], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what would run more often, or another number of times, than in Python.

    Args:
        nodes: all of the program.
        tools: the names of its tools.
        imported: what its imported names stand for.
    """
    acting = Reach(nodes, tools)
    changing = Reach(nodes, tools | impure(nodes), impure_methods(nodes))
    functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
    for node in nodes:
        for message in (
            *_eager(node, changing),
            *_called_inside(node, acting, imported),
            *_changed_in_loop(node, functions),
        ):
            yield Problem(getattr(node, "lineno", 1), message)
    yield from _misplaced(nodes, tools, imported)
    yield from _half_sorted(nodes)
    yield from _read_again(nodes)


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
        case ast.Call(func=ast.Name(id=("map" | "filter") as name), args=[function, *_]):
            if reach.carries(function) or any(changes(part) for part in ast.walk(function) if _is_lambda(part)):
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


def _misplaced(nodes: Sequence[ast.AST], tools: frozenset[str], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Find lazy things that are read otherwise than once and to their end, where that can be noticed."""
    names = (node.id for node in nodes if isinstance(node, ast.Name))
    if LAZY.isdisjoint(names) and not any(isinstance(node, ast.GeneratorExp) for node in nodes):
        return
    places, catching, iterators = Places(nodes, imported, tools), Catching(nodes), Iterators(nodes, imported)
    filling = _filling(nodes, imported)
    bound = places.own | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    for node in nodes:
        if isinstance(node, ast.Name) and node.id in LAZY - bound and not places.called(node):
            yield Problem(node.lineno, f"{node.id} is no value here: call it where it stands, in list({node.id}(…))")
        elif places.lazy(node) and isinstance(node, ast.expr):
            for message in _in_place(node, places, catching, iterators, filling):
                yield Problem(node.lineno, message)


def _in_place(
    node: ast.expr, places: Places, catching: Catching, iterators: Iterators, filling: frozenset[str]
) -> Iterator[str]:
    place, what = places.of(node), _called(node)
    if not place.known:
        if isinstance(node, ast.GeneratorExp):
            yield f"{what} is a list here, made at once: write [… for …], or {_IN_PLACE}"
        else:
            yield f"{what} is a list here, made at once: write list({what}), or {_IN_PLACE}"
        return
    if place.unpacked:
        if catching.handlers > 1 and _raises(node, catching):
            yield f"{what} is read to its end here before it is taken apart: write it as a list first, or catch once"
        return
    beside = any(catching.raised(part) for part in place.beside)
    if (place.stops or beside) and _raises(node, catching):
        yield f"{what} runs to its end here, also to an error that is caught: write a loop, or a list in brackets"
    broken_off = _raises(node, catching) or catching.meets(node, *place.beside)
    if not (place.stops or broken_off or changes(*place.beside)):
        return
    if filled := sorted({name for part in _steps(node) for name in _looked_up(part)} & filling):
        yield f"{what} runs to its end here, and fills {filled[0]}: write a loop, or use {filled[0]}.get()"
    for source in _sources(node):
        names = [name for name in iterators.shared(source) if places.repeated(node) or not iterators.read_once(name)]
        for name in names:
            yield f"{what} reads the iterator {name} to its end here: write a loop over it, or make it a list first"


def _half_sorted(nodes: Sequence[ast.AST]) -> Iterator[Problem]:
    """Find lists that are sorted in their place, where the error that stops it is caught."""
    sorts = [node for node in nodes if isinstance(node, ast.Attribute) and node.attr == "sort"]
    catching = Catching(nodes) if sorts else None
    for node in sorts:
        if catching and catching.catches(node, "TypeError"):
            yield Problem(node.lineno, "a sort() that fails leaves another order here: write xs = sorted(xs)")


def _read_again(nodes: Sequence[ast.AST]) -> Iterator[Problem]:
    """Find iterators over a list that grows: one that was at its end goes on in Monty."""
    made = [node for node in nodes if isinstance(node, ast.Assign) and _is_iter(node.value)]
    grown = {name for name, _ in changed(nodes)} if made else set[str]()
    loads = Counter(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    for node in made:
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        sources = {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)} & grown
        if sources and any(loads[name] > 1 for name in names):
            source = min(sources)
            yield Problem(
                node.lineno, f"an iterator goes on here when {source} grows after its end: use list({source})"
            )


def _is_iter(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "iter"


def _called(node: ast.expr) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return f"{node.func.id}(…)"
    return "a generator expression"


def _raises(node: ast.expr, catching: Catching) -> bool:
    """Tell whether making something lazy may raise what is caught there."""
    if isinstance(node, ast.Call):
        called = node.args[:1] if _called(node) in {"map(…)", "filter(…)"} else []
        return any(catching.meets_call(node, function) for function in called)
    return catching.meets(node, *_steps(node))


def _steps(node: ast.expr) -> list[ast.AST]:
    """Return what is done at every step of something lazy."""
    match node:
        case ast.GeneratorExp(elt=element, generators=[first, *others]):
            return [element, *first.ifs, *others]
        case ast.Call(func=ast.Name(id=("map" | "filter")), args=[function, *_]):
            return [function]
        case _:
            return []


def _sources(node: ast.expr) -> list[ast.expr]:
    """Return what something lazy reads."""
    match node:
        case ast.GeneratorExp(generators=generators):
            return [generator.iter for generator in generators]
        case ast.Call(func=ast.Name(id=("map" | "filter")), args=[_, *sources]):
            return sources
        case ast.Call(args=sources):
            return sources
        case _:
            return []


def _looked_up(part: ast.AST) -> set[str]:
    return {root(one) for one in ast.walk(part) if isinstance(one, ast.Subscript)}


def _filling(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> frozenset[str]:
    """Return the names of dicts that are filled by looking into them."""
    found = set[str]()
    for node in nodes:
        match node:
            case ast.Assign(targets=targets, value=ast.Call(func=function)):
                named = targets
            case ast.AnnAssign(target=target, value=ast.Call(func=function)):
                named = [target]
            case _:
                continue
        if dotted(function, imported) == "collections.defaultdict":
            found |= {root(target) for target in named}
    return frozenset(found)


def _changed_in_loop(node: ast.AST, functions: Mapping[str, ast.FunctionDef]) -> Iterator[str]:
    """Find loops over a lazy view of something that the loop changes."""
    match node:
        case ast.For() if _is_lazy(node.iter):
            looped = {part.id for part in ast.walk(node.iter) if isinstance(part, ast.Name)}
            places = {part.id for part in ast.walk(node.target) if isinstance(part, ast.Name)}
            called = {part.id for one in node.body for part in ast.walk(one) if isinstance(part, ast.Name)} & set(
                functions
            )
            for name, part in (*changed(node.body), *changed(functions[name] for name in sorted(called))):
                in_place = (
                    isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Name) and part.slice.id in places
                )
                if name in looped and not in_place:
                    yield f"the loop changes {name} while it goes over it: loop over list({name}), or build a new one"
            for name in sorted(_bound([node.target, *node.body]) & _used_later(node.iter)):
                yield f"the loop gives {name} another value, which is used at every step: write it into the loop"
        case _:
            pass


def _used_later(node: ast.expr) -> set[str]:
    """Return the names that something lazy looks up at every step, and not only where it is made."""
    parts = _steps(node)
    if isinstance(node, ast.GeneratorExp):
        parts = [part for part in parts if part is not node.generators[0]]
    used = {one.id for part in parts for one in ast.walk(part) if isinstance(one, ast.Name)}
    own = _bound([node]) | {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
    return used - own


def _bound(parts: Sequence[ast.AST]) -> set[str]:
    names = (one for part in parts for one in ast.walk(part) if isinstance(one, ast.Name))
    return {one.id for one in names if isinstance(one.ctx, ast.Store)}


def _is_lazy(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in LAZY
    return isinstance(node, ast.GeneratorExp)


def _is_lambda(node: ast.AST) -> bool:
    return isinstance(node, ast.Lambda)


def _name(function: ast.expr, imported: Mapping[str, str]) -> str:
    match function:
        case ast.Name(id=name):
            return imported.get(name, name)
        case ast.Attribute(value=owner, attr=attribute):
            return f"{_name(owner, imported)}.{attribute}"
        case _:
            return "…"
