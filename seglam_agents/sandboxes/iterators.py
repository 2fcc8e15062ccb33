"""`Iterators`: which names of a program hold something that can be read only once, such as `iter(…)`.

Python and Monty read such a thing step by step, but `map`, `zip` and their like read it to its end in Monty.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence

from seglam_agents.sandboxes.naming import dotted
from seglam_agents.sandboxes.reach import arguments, parameters


class Iterators:
    """What holds iterators. It errs on the careful side: scopes are not told apart.

    Args:
        nodes: all of the program.
        imported: what its imported names stand for.
    """

    def __init__(self, nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> None:
        self._imported = imported
        self._functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
        self._fields: dict[str, set[str]] = {}
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                self._note_class(node)
        self._names = set[str]()
        self._attributes = set[str]()
        self._givers = set[str]()
        self._passed = set[str]()
        made = [node for node in nodes if isinstance(node, ast.Call) and self._makes(node)]
        names = (node for node in nodes if isinstance(node, ast.Name))
        self._loads = Counter(node.id for node in names if isinstance(node.ctx, ast.Load))
        size = -1
        while made and size != (size := sum(map(len, (self._names, self._attributes, self._givers)))):
            for node in nodes:
                self._spread(node)

    def shared(self, node: ast.expr) -> list[str]:
        """Return the names through which the iterators of an expression can be read from elsewhere."""
        match node:
            case ast.Name(id=name):
                return [name] if name in self._names else []
            case ast.Attribute(attr=name):
                return [name] if name in self._attributes else []
            case ast.Call(func=ast.Name(id=name)) if name in self._givers:
                return [name]
            case ast.Call():
                parts = arguments(node) if self._makes(node) else []
            case _:
                parts = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
        return [name for part in parts for name in self.shared(part)]

    def read_once(self, name: str) -> bool:
        """Tell whether a name is read in one place only, and is no parameter."""
        return self._loads[name] == 1 and name not in self._passed

    def _note_class(self, node: ast.ClassDef) -> None:
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                self._functions[node.name] = part
                return
        fields = (part.target for part in node.body if isinstance(part, ast.AnnAssign))
        self._fields[node.name] = {field.id for field in fields if isinstance(field, ast.Name)}

    def _makes(self, node: ast.Call) -> bool:
        match node.func:
            case ast.Name(id="iter") if "iter" not in self._functions:
                return True
            case ast.Attribute(attr="finditer"):
                return True
            case function:
                return dotted(function, self._imported).startswith("itertools.") or self._is_finditer(function)

    def _is_finditer(self, function: ast.expr) -> bool:
        return dotted(function, self._imported) == "re.finditer"

    def _holds(self, node: ast.expr | None) -> bool:
        match node:
            case None | ast.Constant() | ast.Lambda() | ast.GeneratorExp() | ast.Compare():
                return False
            case ast.Call():
                giver = isinstance(node.func, ast.Name) and node.func.id in self._givers
                return giver or self._makes(node)
            case ast.Name(id=name):
                return name in self._names
            case ast.Attribute(attr=name):
                return name in self._attributes
            case _:
                return any(self._holds(part) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr))

    def _spread(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value) if self._holds(value):
                for target in targets:
                    self._mark(target, unpacked=self._is_several(value))
            case ast.AnnAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value) if self._holds(
                value
            ):
                self._mark(target)
            case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                self._mark_groups(target, value)
            case ast.FunctionDef(name=name):
                if any(isinstance(part, ast.Return) and self._holds(part.value) for part in ast.walk(node)):
                    self._givers.add(name)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in self._functions:
                if any(map(self._holds, arguments(node))):
                    taken = parameters(self._functions[name])
                    self._passed |= taken
                    self._names |= taken
            case ast.Call(func=ast.Name(id=name)) if name in self._fields:
                if any(map(self._holds, arguments(node))):
                    self._attributes |= self._fields[name]
            case _:
                pass

    def _mark(self, target: ast.expr, *, unpacked: bool = False) -> None:
        match target:
            case ast.Name(id=name):
                self._names.add(name)
            case ast.Attribute(attr=name):
                self._attributes.add(name)
            case ast.Subscript(value=value):
                self._mark(value)
            case ast.Tuple(elts=parts) | ast.List(elts=parts) if unpacked:
                for part in parts:
                    self._mark(part)
            case _:
                pass

    def _mark_groups(self, target: ast.expr, value: ast.expr) -> None:
        """Mark the groups of `groupby`, which are iterators themselves."""
        groups = isinstance(value, ast.Call) and dotted(value.func, self._imported) == "itertools.groupby"
        if groups and isinstance(target, ast.Tuple) and len(target.elts) == 2:
            self._mark(target.elts[1])

    def _is_several(self, value: ast.expr) -> bool:
        if isinstance(value, ast.Call):
            return dotted(value.func, self._imported) == "itertools.tee"
        return isinstance(value, (ast.Tuple, ast.List))
