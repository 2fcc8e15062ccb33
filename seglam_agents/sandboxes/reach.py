"""`Reach`: which names of a program lead to one of given functions, however they are passed around.

It errs on the careful side: scopes are not told apart, and a name that may hold such a function counts as one that
does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

MUTATORS: Final = frozenset(
    {"append", "appendleft", "extend", "insert", "remove", "pop", "popleft", "popitem", "clear", "add", "discard"}
    | {"update", "setdefault", "sort", "reverse", "rotate"}
)
"""Methods that change what they are called on."""
MAKING: Final = frozenset({"__init__", "__post_init__"})
"""Methods that make an instance."""
_Function: TypeAlias = ast.FunctionDef | ast.Lambda
_GIVES_DATA: Final = frozenset(
    {
        "sorted",
        "max",
        "min",
        "sum",
        "len",
        "any",
        "all",
        "str",
        "int",
        "float",
        "bool",
        "map",
        "filter",
        "reduce",
        "abs",
    }
)
"""Builtins that call what they are given, and give back what it returns or something made of it."""


class Reach:
    """What leads to the functions of these names.

    Args:
        nodes: all of the program.
        functions: the names to begin with.
        methods: definitions of methods to begin with.
    """

    def __init__(
        self, nodes: Sequence[ast.AST], functions: Iterable[str], methods: Iterable[ast.FunctionDef] = ()
    ) -> None:
        self.names = set(functions)
        self.attributes: set[str] = set()
        self._makers: set[str] = set()
        self._nodes = nodes
        self._methods = {id(part): node for node in self._nodes if isinstance(node, ast.ClassDef) for part in node.body}
        self._functions = {node.name: node for node in self._nodes if isinstance(node, ast.FunctionDef)}
        self._parameters = {name for node in self._nodes if isinstance(node, _Function) for name in parameters(node)}
        for method in methods:
            self._note_method(method, self._methods[id(method)])
        size = -1
        while (self.names or self.attributes) and size != (
            size := len(self.names) + len(self.attributes) + len(self._makers)
        ):
            for node in self._nodes:
                self._spread(node)

    def culprit(self, *nodes: ast.AST) -> str | None:
        """Return a name in these parts of the program that leads there, if any does."""
        for node in nodes:
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and part.id in self.names:
                    return part.id
                if isinstance(part, ast.Attribute) and part.attr in self.attributes:
                    return part.attr
        return None

    def carries(self, node: ast.expr | None) -> bool:
        """Tell whether the value of an expression may be a function that leads there, or hold one."""
        match node:
            case None | ast.Constant():
                return False
            case ast.Name():
                return node.id in self.names
            case ast.Attribute():
                return node.attr in self.attributes or self.carries(node.value)
            case ast.Lambda():
                return self.culprit(node.body) is not None
            case ast.Call(func=ast.Name(id=name)) if name in _GIVES_DATA and name not in self._functions:
                return any(self.carries(item) for item in node.args[name in {"map", "filter", "reduce"} :])
            case ast.Call(func=function):
                return self._makes(function) or any(self.carries(item) for item in arguments(node))
            case _:
                return any(self.carries(part) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr))

    def _makes(self, function: ast.expr) -> bool:
        if isinstance(function, ast.Name):
            return function.id in self._makers
        if isinstance(function, ast.Attribute):
            return function.attr in self._makers or self.carries(function.value)
        return self.carries(function)

    def _spread(self, node: ast.AST) -> None:
        match node:
            case ast.FunctionDef():
                self._spread_function(node)
            case ast.Assign(targets=targets, value=value) if self.carries(value):
                self._mark(*targets)
            case (
                ast.AnnAssign(target=target, value=value)
                | ast.AugAssign(target=target, value=value)
                | ast.NamedExpr(target=target, value=value)
            ) if self.carries(value):
                self._mark(target)
            case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value) if self.carries(
                value
            ):
                self._mark(target)
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target) if self.carries(value):
                self._mark(target)
            case ast.Match(subject=value, cases=cases) if self.carries(value):
                self.names |= {name for case in cases for name in captured(case.pattern)}
            case ast.Call() if any(self.carries(item) for item in arguments(node)):
                self._spread_call(node)
            case ast.arguments():
                named = [*node.posonlyargs, *node.args]
                pairs = [
                    *zip(named[::-1], node.defaults[::-1], strict=False),
                    *zip(node.kwonlyargs, node.kw_defaults, strict=True),
                ]
                self.names |= {argument.arg for argument, value in pairs if self.carries(value)}
            case _:
                pass

    def _spread_function(self, node: ast.FunctionDef) -> None:
        if self.culprit(*node.body, *node.decorator_list) is None:
            return
        owner = self._methods.get(id(node))
        if owner is None:
            self.names.add(node.name)
        else:
            self._note_method(node, owner)
        if any(isinstance(part, ast.Return) and self.carries(part.value) for part in ast.walk(node)):
            self._makers.add(node.name)

    def _note_method(self, node: ast.FunctionDef, owner: ast.ClassDef) -> None:
        if node.name.startswith("__"):
            # Whatever is done with an instance may call it.
            self.names.add(owner.name)
            self._makers.add(owner.name)
        else:
            self.attributes.add(node.name)

    def _spread_call(self, node: ast.Call) -> None:
        """Mark what a function gets that is passed on."""
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in MUTATORS:
            self._mark(function.value)
        elif isinstance(function, ast.Name) and function.id in self._functions:
            self.names |= parameters(self._functions[function.id])
        elif not isinstance(function, ast.Name):
            self.names |= self._parameters

    def _mark(self, *targets: ast.expr) -> None:
        for target in targets:
            match target:
                case ast.Name(id=name):
                    self.names.add(name)
                case ast.Attribute(attr=name):
                    self.attributes.add(name)
                case ast.Subscript(value=value) | ast.Starred(value=value):
                    self._mark(value)
                case ast.Tuple(elts=parts) | ast.List(elts=parts):
                    self._mark(*parts)
                case _:
                    pass


def impure(nodes: Sequence[ast.AST]) -> set[str]:
    """Return the functions of a program that change something outside themselves."""
    methods = {id(part) for node in nodes if isinstance(node, ast.ClassDef) for part in node.body}
    found = set[str]()
    for node in nodes:
        match node:
            case ast.FunctionDef(name=name) if id(node) not in methods and any(_changes(node, parameters(node))):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda(body=body)) if changes(body):
                found.add(name)
            case _:
                pass
    return found


def impure_methods(nodes: Iterable[ast.AST]) -> list[ast.FunctionDef]:
    """Return the methods that change something; one that makes an instance may change that."""
    parts = (part for node in nodes if isinstance(node, ast.ClassDef) for part in node.body)
    return [
        part
        for part in parts
        if isinstance(part, ast.FunctionDef) and any(_changes(part, parameters(part), making=_own(part)))
    ]


def _own(method: ast.FunctionDef) -> str:
    """Return the name of the instance that a method makes, if it makes one."""
    named = [*method.args.posonlyargs, *method.args.args]
    return named[0].arg if named and method.name in MAKING else ""


def changes(*nodes: ast.AST) -> bool:
    """Tell whether parts of a program change something where they stand."""
    return any(
        isinstance(part, ast.NamedExpr)
        or (isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "next")
        or (isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in MUTATORS)
        for node in nodes
        for part in ast.walk(node)
    )


def changed(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Yield the names whose values are changed in parts of a program, each with where."""
    for node in nodes:
        for part in ast.walk(node):
            match part:
                case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in MUTATORS:
                    yield root(owner), part
                case ast.Subscript(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
                    yield root(part), part
                case ast.AugAssign(target=ast.Name(id=name)):
                    yield name, part
                case _:
                    pass


def root(node: ast.expr) -> str:
    """Return the name at the left end of an expression, or an empty string."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def arguments(node: ast.Call) -> list[ast.expr]:
    """Return all that a call passes."""
    return [*node.args, *(word.value for word in node.keywords)]


def parameters(node: _Function) -> set[str]:
    """Return the names of what a function takes."""
    taken = node.args
    named = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, *filter(None, (taken.vararg, taken.kwarg))]
    return {argument.arg for argument in named}


def captured(pattern: ast.pattern) -> Iterator[str]:
    """Yield the names that a pattern binds."""
    for part in ast.walk(pattern):
        if isinstance(part, (ast.MatchAs, ast.MatchStar)) and part.name:
            yield part.name


def _changes(node: ast.FunctionDef, taken: set[str], *, making: str = "") -> Iterator[bool]:
    parts = list(ast.walk(node))
    own = {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)} - taken
    own.add(making)
    yield any(isinstance(part, (ast.Global, ast.Nonlocal)) for part in parts)
    yield any(name not in own for name, part in changed(node.body) if not isinstance(part, ast.AugAssign))
