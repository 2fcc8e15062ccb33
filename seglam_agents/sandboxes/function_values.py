"""`Values`: which functions of a program a part of it may call, by their names or through something that holds one.

It errs on the careful side: scopes are not told apart, and whatever is called without the name of a function may be any
function that is used as a value anywhere.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from seglam_agents.sandboxes.naming import dotted, imports
from seglam_agents.sandboxes.reach import MAKING

_CALLS_AT_ONCE: Final = frozenset({"map", "filter", "sorted", "min", "max", "sum", "functools.reduce"})
"""What calls a function that it is given there and then, and keeps nothing of it in Monty."""
_CALLS_BACK: Final = frozenset({"map", "filter", "sorted", "min", "max", "iter"})


class Values:
    """The functions of a program by what leads to them."""

    def __init__(self, nodes: Sequence[ast.AST]) -> None:
        self._imported = imports(nodes)
        self._parents = {id(child): node for node in nodes for child in ast.iter_child_nodes(node)}
        self._named: defaultdict[str, list[ast.AST]] = defaultdict(list)
        self.odd: list[ast.AST] = []
        """Methods that no call names: operators, loops and texts call them."""
        for node in nodes:
            self._note(node)
        self._known = {*self._named, *self._imported, *vars(builtins), "deopt"}
        self.held = list(self._values(nodes))
        """Functions that are handed around, and called through what holds them."""

    def used_by(self, node: ast.AST) -> Sequence[ast.AST]:
        """Return the functions that are called or named by a part of a program alone, not by what is in it."""
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                return self._named.get(name, self.held if self._may_be_called(node) else ())
            case ast.Attribute(attr=name):
                return self._named.get(name, self.held if self._is_field(node) else ())
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
                return self._named.get(name, ())
            case ast.Call(func=ast.Subscript() | ast.Call() | ast.IfExp() | ast.BoolOp() | ast.NamedExpr()):
                return self.held
            case _:
                return ()

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.FunctionDef(name=name):
                self._named[name].append(node)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda() as function):
                self._named[name].append(function)
            case ast.ClassDef(name=name, body=body):
                methods = [part for part in body if isinstance(part, ast.FunctionDef)]
                self._named[name] += methods
                self.odd += [part for part in methods if part.name.startswith("__") and part.name not in MAKING]
            case _:
                pass

    def _values(self, nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
        """Yield the functions that are handed around."""
        for node in nodes:
            parent = self._parents.get(id(node))
            if (isinstance(parent, ast.Call) and parent.func is node) or self._is_called_at_once(node, parent):
                continue
            match node:
                case ast.Lambda() if not _is_named(parent):
                    yield node
                case ast.FunctionDef(decorator_list=[_, *_]):
                    yield node
                case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
                    yield from self._named.get(name, ())
                case _:
                    pass

    def _is_called_at_once(self, node: ast.AST, parent: ast.AST | None) -> bool:
        if isinstance(parent, ast.keyword):
            return parent.arg == "key"
        return isinstance(parent, ast.Call) and self._name_of(parent) in _CALLS_AT_ONCE

    def _may_be_called(self, node: ast.Name) -> bool:
        """Tell whether a name that is no function's may be called where it stands."""
        if node.id in self._known:
            return False
        parent = self._parents.get(id(node))
        if isinstance(parent, ast.Call):
            name = self._name_of(parent)
            return parent.func is node or name in _CALLS_BACK or "." in name
        return isinstance(parent, ast.keyword)

    def _is_field(self, node: ast.Attribute) -> bool:
        """Tell whether a field of an object is called here, and not a method that every such object has."""
        parent = self._parents.get(id(node))
        called = isinstance(parent, ast.Call) and parent.func is node
        return called and node.attr not in _METHODS and not dotted(node, self._imported)

    def _name_of(self, call: ast.Call) -> str:
        if isinstance(call.func, ast.Name):
            return self._imported.get(call.func.id, call.func.id)
        return dotted(call.func, self._imported)


def _is_named(parent: ast.AST | None) -> bool:
    return isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Name)


_TYPES: Final = (
    *(str, int, float, list, dict, set, tuple, bytes, date, datetime, time, timedelta, Decimal, re.Pattern, re.Match),
    *(Counter, deque),
)
_METHODS: Final = frozenset(name for kind in _TYPES for name in dir(kind))
