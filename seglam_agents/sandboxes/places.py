"""`Places`: where the lazy things of a program stand, and whether Python may stop reading them before their end there.

Generator expressions, `map`, `filter`, `zip`, `enumerate` and `reversed` are lists in Monty, made at once. Where they
are read to their end, at once and once, that makes no difference. Anywhere else they are refused or looked into.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from seglam_agents.sandboxes.naming import dotted

LAZY: Final = frozenset({"map", "filter", "zip", "enumerate", "reversed"})
_READ_ALL: Final = frozenset({"list", "tuple", "set", "frozenset", "dict", "sorted", "sum", "min", "max", "bytes"})
_STOP_EARLY: Final = frozenset({"any", "all"})
_READERS: Final = frozenset({"collections.Counter", "collections.deque", "functools.reduce", "math.fsum", "math.prod"})
_METHODS: Final = frozenset(
    {"join", "extend", "extendleft", "update", "union", "intersection", "difference", "symmetric_difference"}
    | {"fromkeys", "intersection_update", "difference_update", "symmetric_difference_update", "subtract"}
)
_STOPPING_METHODS: Final = frozenset({"isdisjoint", "issuperset", "issubset"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lazy thing stands."""

    known: bool
    """Whether it is read once, there and then."""
    stops: bool
    """Whether it may be read in part, or while other things happen."""
    beside: tuple[ast.AST, ...] = ()
    """What else the comprehensions do that read it."""


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
                    return Place(known=True, stops=stops, beside=beside)
                case ast.IfExp(test=test) if test is not node:
                    node = parent
                case ast.Call(func=function, args=arguments) if node in arguments:
                    name = function.id if isinstance(function, ast.Name) else ""
                    whole = dotted(function, self._imported)
                    if self._goes_on(parent, name, whole):
                        several = name in {"zip", "map"} and len(arguments) > 1 + (name == "map")
                        node, stops = parent, stops or several or name == "iter" or whole != ""
                        continue
                    return replace(self._read_by(parent, name, whole, stops=stops), beside=beside)
                case _:
                    return Place(known=False, stops=True)
        return Place(known=False, stops=True)

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
            return Place(known=stops, stops=True)
        if whole:
            return Place(known=whole in _READERS, stops=stops)
        if isinstance(call.func, ast.Attribute):
            method = call.func.attr
            known = method in _METHODS | _STOPPING_METHODS and method not in self._methods
            return Place(known=known, stops=stops or method in _STOPPING_METHODS)
        known = name in _READ_ALL | _STOP_EARLY and name not in self._own
        return Place(known=known, stops=stops or name in _STOP_EARLY)


def _is_next(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "next"


def _parts_of_classes(nodes: Sequence[ast.AST]) -> list[ast.FunctionDef]:
    classes = (node for node in nodes if isinstance(node, ast.ClassDef))
    return [part for node in classes for part in node.body if isinstance(part, ast.FunctionDef)]
