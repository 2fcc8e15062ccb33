"""The `where` of a guard: one expression over the arguments, read as data and never executed as Python.

Allowed: arguments, constants, comparisons, `and or not`, `+ - * / // %`, `in` over literal tuples, attributes of money
and quantities (`total.amount`, `total.currency`, `d.value`, `d.unit`), and `len abs min max`. Anything else is a
`PredicateError` when the guard is compiled.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from seglam_agents.records.errors import PredicateError
from seglam_agents.records.values import Money, Quantity, Value

_Evaluator: TypeAlias = Callable[[Mapping[str, Value]], object]

MAX_EXPRESSION = 2000
"""Characters of an expression."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """A compiled expression."""

    source: str
    names: frozenset[str]
    _evaluate: _Evaluator
    parts: tuple[Predicate, ...] = ()
    """What `and` joins at the top, each for itself."""

    def holds(self, arguments: Mapping[str, Value]) -> bool:
        """Tell whether the expression is true; an expression that cannot be evaluated is not."""
        try:
            return bool(self._evaluate(arguments))
        except (TypeError, ValueError, ArithmeticError, AttributeError, KeyError):
            return False

    def failing(self, arguments: Mapping[str, Value]) -> str:
        """Return the first part that is not true, and what its arguments are."""
        part = next((part for part in self.parts if not part.holds(arguments)), self)
        values = ", ".join(f"{name}={arguments.get(name)!r}" for name in sorted(part.names))
        return f"`{part.source}` is not true with {values}" if values else f"`{part.source}` is not true"


def compile_predicate(source: str) -> Predicate:
    """Compile an expression.

    Raises:
        PredicateError: it cannot be read, or uses something it may not.
    """
    if len(source) > MAX_EXPRESSION:
        raise PredicateError(f"`where` may have {MAX_EXPRESSION} characters, this has {len(source)}")
    try:
        tree = ast.parse(source.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise PredicateError(f"`where` is no expression: {error}") from error
    try:
        parts = tree.body.values if isinstance(tree.body, ast.BoolOp) and isinstance(tree.body.op, ast.And) else []
        return _compiled(source, tree.body, tuple(_compiled(ast.unparse(part), part) for part in parts))
    except RecursionError as error:
        raise PredicateError("`where` is nested too deeply") from error


def _compiled(source: str, node: ast.expr, parts: tuple[Predicate, ...] = ()) -> Predicate:
    names = frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id not in _FUNCTIONS)
    return Predicate(source, names, _build(node), parts)


_BINARY: dict[type[ast.operator], Callable[[float, float], object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: operator.mod,
}


def _within(item: object, items: Sequence[object]) -> bool:
    return item in items


def _without(item: object, items: Sequence[object]) -> bool:
    return item not in items


_COMPARE: dict[type[ast.cmpop], Callable[..., object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: _within,
    ast.NotIn: _without,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_FUNCTIONS: dict[str, Callable[..., object]] = {"len": len, "abs": abs, "min": min, "max": max}
_ATTRIBUTES = {"amount": Money, "currency": Money, "value": Quantity, "unit": Quantity}


def _build(node: ast.expr) -> _Evaluator:
    match node:
        case ast.Constant(value=value) if value is None or isinstance(value, (bool, int, float, str)):
            return lambda _: value
        case ast.Name(id=name) if name not in _FUNCTIONS:
            return lambda arguments: arguments[name]
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            parts = [_build(element) for element in elements]
            return lambda arguments: tuple(part(arguments) for part in parts)
        case ast.BoolOp():
            return _boolean(node)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _build(operand)
            return lambda arguments: not inner(arguments)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _build(operand)
            return lambda arguments: -_number(inner(arguments))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            first, second, apply = _build(left), _build(right), _BINARY[type(op)]
            return lambda arguments: apply(_number(first(arguments)), _number(second(arguments)))
        case ast.Compare():
            return _comparison(node)
        case ast.Attribute(value=value, attr=attribute) if attribute in _ATTRIBUTES:
            inner, owner = _build(value), _ATTRIBUTES[attribute]
            return lambda arguments: getattr(_instance(inner(arguments), owner), attribute)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            parts, function = [_build(arg) for arg in args], _FUNCTIONS[name]
            return lambda arguments: function(*(part(arguments) for part in parts))
        case _:
            raise PredicateError(
                f"`where` may not use {ast.unparse(node)!r}, only arguments, .amount .currency .value .unit, "
                "constants, comparisons, in, and or not, arithmetic, len abs min max: leave the rest to `deopt`"
            )


def _boolean(node: ast.BoolOp) -> _Evaluator:
    parts = [_build(value) for value in node.values]
    combine = all if isinstance(node.op, ast.And) else any
    return lambda arguments: combine(part(arguments) for part in parts)


def _comparison(node: ast.Compare) -> _Evaluator:
    sides = [_build(side) for side in (node.left, *node.comparators)]
    tests = [_COMPARE[type(op)] for op in node.ops]

    def evaluate(arguments: Mapping[str, Value]) -> bool:
        values = [side(arguments) for side in sides]
        return all(test(values[index], values[index + 1]) for index, test in enumerate(tests))

    return evaluate


def _number(value: object) -> float:
    # Numbers only: `*` on a text could be made to fill the memory of the host.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is no number")
    return value


def _instance(value: object, owner: type) -> object:
    if not isinstance(value, owner):
        raise TypeError(f"{value!r} is no {owner.__name__}")
    return value
