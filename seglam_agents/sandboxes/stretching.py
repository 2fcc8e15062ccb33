"""`stretched`: products and quotients that may be of a length of time and a float, and what stands in their place.

Monty stretches a length of time by whole numbers only. Which values come together is not known before a run, so that
every product of unknown things is replaced in a program that knows dates.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

Stretching: TypeAlias = ast.BinOp | ast.AugAssign
_NAMES: Final[Mapping[type[ast.operator], str]] = {ast.Mult: "_times_", ast.Div: "_over_"}
_SIGNS: Final[Mapping[type[ast.operator], bytes]] = {ast.Mult: b"*", ast.Div: b"/"}


class Edit(NamedTuple):
    """A piece of a line, in bytes, and what stands there instead."""

    line: int
    start: int
    end: int
    text: str


def stretched(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> list[Stretching]:
    """Return where a length of time may be multiplied or divided by a float."""
    if not any(whole.partition(".")[0] == "datetime" for whole in imported.values()):
        return []
    return [node for node in nodes if isinstance(node, ast.BinOp | ast.AugAssign) and _may_stretch(node)]


def replaced(node: ast.BinOp, lines: Sequence[bytes]) -> list[Edit]:
    """Return what makes a call of ours of a product; nothing where its sign is not found."""
    place = _sign(node, lines)
    if place is None:
        return []
    line, start = place
    return [
        Edit(node.lineno, node.col_offset, node.col_offset, f"{_NAMES[type(node.op)]}("),
        Edit(line, start, start + 1, ","),
        Edit(node.end_lineno or 0, node.end_col_offset or 0, node.end_col_offset or 0, ")"),
    ]


def _sign(node: ast.BinOp, lines: Sequence[bytes]) -> tuple[int, int] | None:
    """Return the line and the place of the sign, which stands between the two; comments may stand there as well."""
    line, start = node.left.end_lineno or 0, node.left.end_col_offset or 0
    while line <= node.right.lineno:
        end = node.right.col_offset if line == node.right.lineno else len(lines[line - 1])
        place = lines[line - 1][start:end].partition(b"#")[0].find(_SIGNS[type(node.op)])
        if place >= 0:
            return line, start + place
        line, start = line + 1, 0
    return None


def _may_stretch(node: Stretching) -> bool:
    if not isinstance(node.op, ast.Mult | ast.Div):
        return False
    left, right = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)
    return not (_is_whole(left) or _is_whole(right) or (_is_number(left) and _is_number(right)))


def _is_whole(node: ast.expr) -> bool:
    """Tell whether an expression is plainly a whole number or a list, by which nothing is stretched."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, int | str)
        case ast.Call(func=ast.Name(id="int" | "len" | "str" | "ord")) | ast.JoinedStr():
            return True
        case ast.List() | ast.Tuple() | ast.ListComp():
            return True
        case ast.BinOp(left=left, right=right, op=ast.Add() | ast.Sub() | ast.Mult() | ast.FloorDiv() | ast.Mod()):
            return _is_whole(left) and _is_whole(right)
        case _:
            return False


def _is_number(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=value):
            return isinstance(value, int | float)
        case ast.Call(func=ast.Name(id=name)):
            return name in _NUMBERS
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Attribute(attr=name):
            return name in _NUMBERS_OF_DATES
        case ast.BinOp(left=left, right=right):
            return _is_number(left) and _is_number(right)
        case ast.UnaryOp(operand=operand):
            return _is_number(operand)
        case _:
            return False


_NUMBERS: Final = frozenset({"int", "float", "len", "round", "ord", "Decimal"})
_NUMBERS_OF_DATES: Final = frozenset(
    {"total_seconds", "days", "seconds", "microseconds", "year", "month", "day", "hour", "minute", "second"}
)
