"""What objects lack in Monty: the look refuses it, and a run does where the error is caught by another branch."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from seglam_agents.sandboxes.base import Problem
from seglam_agents.sandboxes.catching import Catching
from seglam_agents.sandboxes.naming import own_attributes

ABSENT: Final[Mapping[str, str]] = {
    "is_integer": "write x == int(x)",
    "as_integer_ratio": "use a pair of integers with math.gcd",
    "bit_length": "use len(bin(n)) - 2",
    "bit_count": 'use bin(n).count("1")',
    "to_bytes": "use divmod() in a loop",
    "from_bytes": "use divmod() in a loop",
    **dict.fromkeys(("numerator", "denominator", "conjugate"), "use the number itself"),
    "toordinal": "write (d - date(1, 1, 1)).days + 1",
    "ctime": "use strftime()",
    **dict.fromkeys(
        ("timetuple", "utctimetuple"), "use d.year, d.month, …; (d - date(d.year, 1, 1)).days + 1 for the day"
    ),
    **dict.fromkeys(("lastindex", "expand", "regs", "groupindex"), "use m.group(), m.groupdict() and m.span()"),
    "intersection_update": "write s &= other",
    "difference_update": "write s -= other",
}
"""Advice by the name of a method or an attribute."""


def missed_problems(nodes: Sequence[ast.AST]) -> Iterator[Problem]:
    """Yield where a program uses what is missing and catches the error."""
    own = own_attributes(nodes)
    found = [(node, what) for node in nodes if (what := _absent(node, own))]
    catching = Catching(nodes) if found else None
    for node, what in found:
        if catching and any(catching.catches(node, kind) for kind in ("AttributeError", "TypeError", "ValueError")):
            yield Problem(getattr(node, "lineno", 1), f"{what}; the error is caught, and another branch taken")


def absent_call(node: ast.Call) -> str:
    """Return what a call of something that is there asks of it that is not."""
    if isinstance(node.func, ast.Attribute) and node.func.attr == "groups" and (node.args or node.keywords):
        return "m.groups() takes no default here: write [x or default for x in m.groups()]"
    is_power = isinstance(node.func, ast.Name) and node.func.id == "pow" and len(node.args) == 3
    if is_power and isinstance(node.args[1], ast.UnaryOp):
        return "pow(a, -1, m) does not exist here: look for the number in a loop"
    return ""


def _absent(node: ast.AST, own: frozenset[str]) -> str:
    if isinstance(node, ast.Call):
        return absent_call(node)
    if isinstance(node, ast.Attribute) and node.attr not in own:
        if node.attr in ABSENT:
            return f".{node.attr} does not exist here: {ABSENT[node.attr]}"
        if node.attr == "fromhex" and isinstance(node.value, ast.Name) and node.value.id == "float":
            return "float.fromhex does not exist here: write the number out"
    return ""
