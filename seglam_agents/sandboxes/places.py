"""`Places`: where the lazy things of a program stand, and whether Python may stop reading them before their end there.

Generator expressions, `map`, `filter`, `zip`, `enumerate` and `reversed` are lists in Monty, made at once. Where they
are read to their end, at once and once, that makes no difference. Anywhere else they are refused or looked into.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, cast

from seglam_agents.sandboxes.naming import dotted
from seglam_agents.sandboxes.reach import changed

LAZY: Final = frozenset({"map", "filter", "zip", "enumerate", "reversed"})
_READ_ALL: Final = frozenset({"list", "tuple", "set", "frozenset", "dict", "sorted", "sum", "min", "max", "bytes"})
_STOP_EARLY: Final = frozenset({"any", "all"})
_READERS: Final = frozenset({"collections.Counter", "collections.deque", "functools.reduce", "math.fsum", "math.prod"})
_METHODS: Final = frozenset(
    {"join", "extend", "extendleft", "update", "union", "intersection", "difference", "symmetric_difference"}
    | {"fromkeys", "intersection_update", "difference_update", "symmetric_difference_update", "subtract"}
)
_STOPPING_METHODS: Final = frozenset({"isdisjoint", "issuperset", "issubset"})
_FILLING_METHODS: Final = frozenset(
    {"extend", "extendleft", "update", "subtract", "intersection_update", "difference_update"}
)
"""Methods that have taken in the first items when a later one cannot be made."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lazy thing stands."""

    known: bool
    """Whether it is read once, there and then."""
    stops: bool
    """Whether it may be read in part, or while other things happen."""
    beside: tuple[ast.AST, ...] = ()
    """What else the comprehensions do that read it."""
    unpacked: bool = False
    """Whether it is taken apart into names: Python stops at the first item too many, with a ValueError."""


_UNKNOWN: Final = Place(known=False, stops=True)


class Places:
    """Where everything stands in a program.

    Args:
        nodes: all of the program.
        imported: what its imported names stand for.
        tools: the names of its tools.
    """

    def __init__(self, nodes: Sequence[ast.AST], imported: Mapping[str, str], tools: frozenset[str]) -> None:
        self._imported = imported
        self._methods = frozenset(part.name for part in _parts_of_classes(nodes))
        inside = {id(part) for part in _parts_of_classes(nodes)}
        functions = (node for node in nodes if isinstance(node, ast.FunctionDef) and id(node) not in inside)
        self._own = tools.union(node.name for node in functions)
        self._parents = {id(child): node for node in nodes for child in ast.iter_child_nodes(node)}
        self._names = Counter(node.id for node in nodes if isinstance(node, ast.Name))
        self._following = {id(one): after for body in _bodies(nodes) for one, after in pairwise(body)}

    def lazy(self, node: ast.AST) -> bool:
        """Tell whether a node is lazy in Python and a list in Monty."""
        if isinstance(node, ast.Call):
            return isinstance(node.func, ast.Name) and node.func.id in LAZY - self._own
        return isinstance(node, ast.GeneratorExp)

    def of(self, node: ast.AST) -> Place:
        """Return the place of a lazy thing."""
        stops, beside = False, tuple[ast.AST, ...]()
        while (parent := self._parents.get(id(node))) is not None:
            match parent:
                case ast.For(iter=read) if read is node:
                    return Place(known=True, stops=True)
                case ast.comprehension(iter=read) if read is node:
                    owner = self._parents[id(parent)]
                    beside += tuple(part for part in ast.iter_child_nodes(owner) if part is not parent)
                    beside += tuple(parent.ifs)
                    if not isinstance(owner, ast.GeneratorExp):
                        return Place(known=True, stops=stops, beside=beside)
                    node = owner
                case ast.Compare(ops=ops, left=left) if left is not node and len(ops) == 1:
                    return Place(known=isinstance(ops[0], (ast.In, ast.NotIn)), stops=True)
                case ast.Starred() | ast.AugAssign(op=ast.Add()):
                    return Place(known=True, stops=stops or isinstance(parent, ast.AugAssign), beside=beside)
                case ast.IfExp(test=test) if test is not node:
                    node = parent
                case ast.Assign():
                    return self._assigned(parent, Place(known=True, stops=stops, beside=beside))
                case ast.Call(func=function, args=arguments) if node in arguments:
                    name = function.id if isinstance(function, ast.Name) else ""
                    whole = dotted(function, self._imported)
                    if self._goes_on(parent, name, whole):
                        several = name in {"zip", "map"} and len(arguments) > 1 + (name == "map")
                        node, stops = parent, stops or several or name == "iter" or whole != ""
                        continue
                    return replace(self._read_by(parent, name, whole, stops=stops), beside=beside)
                case _:
                    return _UNKNOWN
        return _UNKNOWN

    def _assigned(self, made: ast.Assign, place: Place) -> Place:
        match made.targets:
            case [ast.Tuple() | ast.List()]:
                return replace(place, unpacked=True)
            case [ast.Name() as name] if not place.beside and (load := self._read_at_once(made, name)):
                return self.of(load)
            case _:
                return _UNKNOWN

    def _read_at_once(self, made: ast.Assign, name: ast.Name) -> ast.Name | None:
        """Return where a name is read that the next statement reads, and nothing else does."""
        after = self._following.get(id(made))
        if after is None or self._names[name.id] != 2 or isinstance(after, (ast.Try, ast.With, ast.While)):
            return None
        used = {part.id for part in ast.walk(made.value) if isinstance(part, ast.Name)}
        if isinstance(after, ast.For) and used & {*(name for name, _ in changed(after.body)), *_bound(after)}:
            return None
        # What the statement does before it reads could change what is read.
        read = [after.iter] if isinstance(after, ast.For) else [after]
        parts = [part for one in read for part in ast.walk(one)]
        if any(isinstance(part, (ast.Lambda, ast.FunctionDef, ast.NamedExpr, ast.Await)) for part in parts):
            return None
        if not all(self._only_reads(part) for part in parts if isinstance(part, ast.Call)):
            return None
        found = [part for part in parts if isinstance(part, ast.Name) and part.id == name.id]
        return found[0] if len(found) == 1 and not self._repeats(found[0], after) else None

    def _only_reads(self, call: ast.Call) -> bool:
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        return (
            name in _READ_ALL | _STOP_EARLY | LAZY | {"round", "int", "float", "str", "len"} and name not in self._own
        )

    def _repeats(self, node: ast.AST, statement: ast.stmt) -> bool:
        """Tell whether a part of a statement is evaluated more often than the statement."""
        while node is not statement and (parent := self._parents.get(id(node))) is not None:
            if isinstance(parent, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
                first = parent.generators[0]
                if node is not first:
                    return True
            elif isinstance(parent, ast.comprehension) and parent.iter is not node:
                return True
            node = parent
        return False

    @property
    def own(self) -> frozenset[str]:
        """The names of the functions and tools of the program."""
        return self._own

    def repeated(self, node: ast.AST) -> bool:
        """Tell whether a node stands in a loop or in a function of its own."""
        while (parent := self._parents.get(id(node))) is not None:
            if isinstance(parent, (ast.For, ast.While, ast.comprehension, ast.Lambda)):
                return True
            if isinstance(parent, ast.FunctionDef):
                return False
            node = parent
        return False

    def called(self, node: ast.AST) -> bool:
        """Tell whether a node is what a call calls."""
        parent = self._parents.get(id(node))
        return isinstance(parent, ast.Call) and parent.func is node

    def _goes_on(self, call: ast.Call, name: str, whole: str) -> bool:
        """Tell whether what a call gives is itself read step by step."""
        if whole:
            return whole.startswith("itertools.")
        if name == "iter":
            parent = self._parents.get(id(call))
            return isinstance(parent, (ast.For, ast.comprehension)) or _is_next(parent)
        return name in LAZY - self._own

    def _read_by(self, call: ast.Call, name: str, whole: str, *, stops: bool) -> Place:
        if _is_next(call):
            return Place(known=True, stops=True)
        if whole:
            return Place(known=whole in _READERS, stops=stops)
        if isinstance(call.func, ast.Attribute):
            method = call.func.attr
            known = method in _METHODS | _STOPPING_METHODS and method not in self._methods
            return Place(known=known, stops=stops or method in _STOPPING_METHODS | _FILLING_METHODS)
        known = name in _READ_ALL | _STOP_EARLY and name not in self._own
        return Place(known=known, stops=stops or name in _STOP_EARLY)


def _is_next(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "next"


def _bound(node: ast.AST) -> set[str]:
    names = (part for part in ast.walk(node) if isinstance(part, ast.Name))
    return {part.id for part in names if isinstance(part.ctx, ast.Store)}


def _bodies(nodes: Sequence[ast.AST]) -> Iterator[list[ast.stmt]]:
    """Yield the statements that follow one another."""
    for node in nodes:
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                yield cast("list[ast.stmt]", body)


def _parts_of_classes(nodes: Sequence[ast.AST]) -> list[ast.FunctionDef]:
    classes = (node for node in nodes if isinstance(node, ast.ClassDef))
    return [part for node in classes for part in node.body if isinstance(part, ast.FunctionDef)]
