"""`Catching`: where a program runs in a `try` after which it goes on, and what is caught there.

Monty computes lazy things at once. An exception that Python never meets, because it stops before, is no more than a
failed run; where the program catches it and goes on, it is another answer.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from seglam_agents.sandboxes.function_values import Values

_Caught: TypeAlias = tuple[ast.AST, frozenset[str]]
"""A part of a program, and the kinds of exceptions after which it goes on."""

_USUAL: Final = frozenset(
    {"ValueError", "TypeError", "KeyError", "IndexError", "AttributeError", "ZeroDivisionError", "OverflowError"}
    | {"StopIteration", "AssertionError", "InvalidOperation", "NotImplementedError", "RecursionError", "error"}
)
_TOOLS: Final = "RuntimeError"
"""What a failing tool raises; what calls no tool and names no such error raises none."""
_ALL: Final = _USUAL | {_TOOLS}
_CATCHES: Final[Mapping[str, frozenset[str]]] = {
    "LookupError": frozenset({"KeyError", "IndexError"}),
    "ArithmeticError": frozenset({"ZeroDivisionError", "OverflowError", "InvalidOperation"}),
    "JSONDecodeError": frozenset({"ValueError"}),
    "UnicodeError": frozenset({"ValueError"}),
    "RuntimeError": frozenset({_TOOLS, "RecursionError", "NotImplementedError"}),
    **{name: frozenset({name}) for name in _USUAL},
}
_READING: Final = frozenset({"ValueError", "TypeError", "OverflowError"})
_BUILTINS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("str", "repr", "bool", "isinstance", "type", "None"), frozenset[str]()),
    **dict.fromkeys(("len", "abs", "any", "all", "list", "tuple", "set", "sorted", "sum"), frozenset({"TypeError"})),
    **dict.fromkeys(("enumerate", "zip", "map", "filter", "reversed", "iter"), frozenset({"TypeError"})),
    **dict.fromkeys(("min", "max", "dict", "range", "ord", "chr", "round"), _READING),
    **dict.fromkeys(("int", "float"), _READING),
}
_METHODS: Final = frozenset(
    {"lower", "upper", "strip", "lstrip", "rstrip", "casefold", "title", "capitalize", "startswith", "endswith"}
    | {"replace", "split", "splitlines", "isdigit", "isalpha", "isalnum", "isspace", "isupper", "islower", "get"}
    | {"items", "keys", "values", "count", "find", "removeprefix", "removesuffix", "group", "weekday", "isoformat"}
)


class Catching:
    """What is caught where in a program."""

    def __init__(self, nodes: Sequence[ast.AST]) -> None:
        self._caught: defaultdict[int, set[str]] = defaultdict(set)
        parts = list(_caught_parts(nodes))
        self.handlers = sum(isinstance(node, ast.ExceptHandler) for node in nodes)
        """How many branches there are for errors."""
        self._raised = _ALL if _names_tool_errors(nodes) else _USUAL
        if parts:
            self._mark(parts, Values(nodes))

    def meets(self, place: ast.AST, *parts: ast.AST) -> bool:
        """Tell whether something that parts of the program may raise is caught where a node stands."""
        caught = self._caught.get(id(place))
        return bool(caught) and any(not caught.isdisjoint(self.raised(part)) for part in parts)

    def catches(self, place: ast.AST, kind: str) -> bool:
        """Tell whether an exception of that kind is caught where a node stands."""
        return kind in self._caught.get(id(place), ())

    def raised(self, part: ast.AST) -> set[str]:
        """Return the kinds of exceptions that a part of a program may raise."""
        return {kind for node in ast.walk(part) for kind in self._of(node)}

    def given(self, function: ast.expr) -> set[str]:
        """Return the kinds of exceptions that calling the value of an expression may raise."""
        match function:
            case ast.Constant(value=None):
                return set()
            case ast.Lambda(body=body):
                return self.raised(body)
            case ast.Name(id=name):
                return set(_BUILTINS.get(name, self._raised))
            case _:
                return set(self._raised)

    def meets_call(self, place: ast.AST, function: ast.expr) -> bool:
        """Tell whether something that calling a value may raise is caught where a node stands."""
        caught = self._caught.get(id(place))
        return bool(caught) and not caught.isdisjoint(self.given(function))

    def _of(self, node: ast.AST) -> frozenset[str]:
        match node:
            case ast.Call(func=ast.Name(id=name)):
                return _BUILTINS.get(name, self._raised)
            case ast.Call(func=ast.Attribute(attr=name)):
                return frozenset({"TypeError"}) if name in _METHODS else self._raised
            case ast.Call():
                return self._raised
            case ast.Attribute():
                return frozenset({"AttributeError"})
            case ast.Subscript():
                return frozenset({"KeyError", "IndexError", "TypeError"})
            case ast.BinOp(op=ast.Div() | ast.FloorDiv() | ast.Mod() | ast.Pow()):
                return frozenset({"ZeroDivisionError", "TypeError", "OverflowError", "ValueError", "InvalidOperation"})
            case ast.BinOp() | ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Invert()):
                return frozenset({"TypeError", "OverflowError"})
            case ast.Compare(ops=ops) if any(not isinstance(op, (ast.Eq, ast.NotEq, ast.Is, ast.IsNot)) for op in ops):
                return frozenset({"TypeError"})
            case ast.comprehension(target=ast.Tuple()) | ast.FormattedValue(format_spec=ast.JoinedStr()):
                return frozenset({"ValueError", "TypeError"})
            case _:
                return frozenset()

    def _mark(self, parts: Sequence[_Caught], values: Values) -> None:
        """Note what is caught in the parts, and in the functions that are used in them."""
        waiting = [*parts, *((method, frozenset[str]().union(*(kinds for _, kinds in parts))) for method in values.odd)]
        # What is caught around all functions that are handed around: of them there are many, and of who may call them.
        held: set[str] = set()
        while waiting:
            part, caught = waiting.pop()
            for node in ast.walk(part):
                new = caught - self._caught[id(node)]
                if not new:
                    continue
                self._caught[id(node)] |= new
                used = values.used_by(node)
                if used is not values.held or not new <= held:
                    waiting += [(function, frozenset(new)) for function in used]
                if used is values.held:
                    held |= new


def _caught_parts(nodes: Sequence[ast.AST]) -> Iterator[_Caught]:
    """Yield the statements after whose exceptions a program goes on, with the kinds of these exceptions."""
    tries = [node for node in nodes if isinstance(node, ast.Try)]
    withs = [node for node in nodes if isinstance(node, ast.With)] if _holds_back(nodes) else []
    alone = len(tries) + len(withs) == 1
    for one in tries:
        if caught := _going_on(one, alone=alone):
            yield from ((statement, caught) for statement in one.body)
        if _leaves(one.finalbody):
            yield from ((part, _ALL) for part in [*one.body, *one.handlers, *one.orelse])
    for one in withs:
        yield from ((statement, _ALL) for statement in one.body)


def _holds_back(nodes: Sequence[ast.AST]) -> bool:
    """Tell whether leaving a block of a class of the program may end an exception."""
    exits = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == "__exit__"]
    given = (part.value for node in exits for part in ast.walk(node) if isinstance(part, ast.Return))
    return any(value is not None and not (isinstance(value, ast.Constant) and not value.value) for value in given)


def _leaves(body: Sequence[ast.stmt]) -> bool:
    """Tell whether statements leave their place, by which an exception on its way is forgotten."""
    parts = (part for statement in body for part in ast.walk(statement))
    return any(isinstance(part, (ast.Return, ast.Break, ast.Continue)) for part in parts)


def _going_on(node: ast.Try, *, alone: bool) -> frozenset[str]:
    """Return what a `try` catches without giving up."""
    handlers = [handler for handler in node.handlers if not _gives_up(handler.body, alone=alone)]
    return frozenset(kind for handler in handlers for kind in _kinds(handler.type))


def _kinds(caught: ast.expr | None) -> Iterator[str]:
    match caught:
        case ast.Tuple(elts=parts):
            for part in parts:
                yield from _kinds(part)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield from _CATCHES.get(name, _ALL)
        case _:
            yield from _ALL


def _gives_up(body: Sequence[ast.stmt], *, alone: bool) -> bool:
    """Tell whether statements end the run and do nothing before; what is raised anew may be caught by another `try`."""
    before = (part for statement in body[:-1] for part in ast.walk(statement))
    if _leaves(body[:-1]) or any(isinstance(part, ast.Call) and not _only_tells(part) for part in before):
        return False
    match body[-1]:
        case ast.Raise():
            return alone
        case (
            ast.Expr(value=ast.Call(func=ast.Name(id="deopt"))) | ast.Return(value=ast.Call(func=ast.Name(id="deopt")))
        ):
            return True
        case ast.If(body=first, orelse=second) if second:
            return _gives_up(first, alone=alone) and _gives_up(second, alone=alone)
        case _:
            return False


def _only_tells(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in {"str", "repr", "len", "type", "print"}


def _names_tool_errors(nodes: Sequence[ast.AST]) -> bool:
    raised = (node.exc for node in nodes if isinstance(node, ast.Raise) and node.exc is not None)
    return any(isinstance(part, ast.Name) and part.id == _TOOLS for error in raised for part in ast.walk(error))
