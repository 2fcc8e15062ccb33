"""`differences`: what Monty understands otherwise than Python, and says nothing about.

A program that holds such a thing is refused where it is looked at, and once more where it is run: it may have been
stored before the difference was known.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from seglam_agents.sandboxes.base import Problem
from seglam_agents.sandboxes.checking import mended
from seglam_agents.sandboxes.laziness import lazy_problems
from seglam_agents.sandboxes.likeness import likeness_problems
from seglam_agents.sandboxes.missing import missed_problems
from seglam_agents.sandboxes.naming import LOOKED_AT, dotted, imports, own_attributes
from seglam_agents.sandboxes.padding import padding_problems
from seglam_agents.sandboxes.patterns import pattern_problems
from seglam_agents.sandboxes.respelling import shared_matches, unreadable_dates
from seglam_agents.sandboxes.trying import tried_problems, unseen_methods


@lru_cache(maxsize=LOOKED_AT)
def differences(source: str, tools: frozenset[str]) -> tuple[Problem, ...]:
    """Return what of a program would silently do something else in Monty; nothing where it cannot be read."""
    try:
        return tuple(_found(list(ast.walk(ast.parse(source))), tools))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _found(nodes: Sequence[ast.AST], tools: frozenset[str]) -> Iterator[Problem]:
    # A first run waits for this, so the program is walked once for all that is looked for.
    imported = imports(nodes)
    yield from lazy_problems(nodes, tools, imported)
    yield from pattern_problems(nodes, imported)
    yield from unreadable_dates(nodes, imported)
    yield from shared_matches(nodes, imported)
    yield from likeness_problems(nodes, imported)
    yield from padding_problems(nodes, imported)
    yield from missed_problems(nodes)
    yield from tried_problems(nodes, imported, tools)
    yield from unseen_methods(nodes)
    yield from _counted_calls(nodes)
    yield from _surrogates(nodes)
    for node in nodes:
        if isinstance(node, (ast.Name, ast.Attribute)) and (message := _OTHERWISE.get(dotted(node, imported))):
            yield Problem(node.lineno, message)
        elif isinstance(node, (ast.Call, ast.FormattedValue)) and (sign := _odd_sign(node)):
            yield Problem(node.lineno, f"{sign} writes dates otherwise here: put the text together yourself")
        elif isinstance(node, ast.ClassDef):
            yield from _without_effect(node)
        elif isinstance(node, ast.MatchClass) and (name := _fieldless(node)):
            yield Problem(node.lineno, f"a case {name}(…=…) never fits here: write if")


def _fieldless(node: ast.MatchClass) -> str:
    """Return the name of a builtin type whose attributes a pattern asks for."""
    name = node.cls.id if isinstance(node.cls, ast.Name) else ""
    return name if node.kwd_attrs and name in _NO_FIELDS else ""


def _without_effect(node: ast.ClassDef) -> Iterator[Problem]:
    """Find methods of a class by which Python would compare, measure or write it, and Monty does not."""
    for part in node.body:
        names = _bound_in_class(part)
        for name in names:
            if name.startswith("__") and name not in CLASS_METHODS:
                yield Problem(node.lineno, f"{name} has no effect here: use a method with a plain name")


def _bound_in_class(part: ast.stmt) -> list[str]:
    match part:
        case ast.FunctionDef(name=name):
            return [name]
        case ast.Assign(targets=targets, value=ast.Name() | ast.Lambda()):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case _:
            return []


def _surrogates(nodes: Iterable[ast.AST]) -> Iterator[Problem]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and mended(node.value) != node.value:
            yield Problem(node.lineno, "a text holds half of a surrogate pair, which no answer can hold")


def _counted_calls(nodes: Sequence[ast.AST]) -> Iterator[Problem]:
    """Find where a program asks how often a cached function was called, which is more often where nothing is lazy."""
    own = own_attributes(nodes)
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr == "cache_info" and "cache_info" not in own:
            yield Problem(node.lineno, "cache_info() counts otherwise here: count yourself")


def _odd_sign(node: ast.Call | ast.FormattedValue) -> str:
    """Return what of the form of a date is written otherwise."""
    if isinstance(node, ast.Call):
        writes = isinstance(node.func, ast.Attribute) and node.func.attr == "strftime"
        texts = [*node.args, *(word.value for word in node.keywords)] if writes else []
    else:
        texts = node.format_spec.values if isinstance(node.format_spec, ast.JoinedStr) else []
    forms = [text.value for text in texts if isinstance(text, ast.Constant) and isinstance(text.value, str)]
    found = [match for form in forms if (match := _ODD_SIGN.search(form.replace("%%", "")))]
    return found[0].group() if found else ""


CLASS_METHODS: Final = frozenset(
    {"__init__", "__post_init__", "__eq__", "__hash__", "__add__", "__repr__", "__str__", "__getitem__", "__iter__"}
    | {"__contains__", "__call__", "__enter__", "__exit__"}
)
"""The methods with two underscores that Monty calls."""
_ODD_SIGN: Final = re.compile(r"%[^aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZf_0-]|%[0_](?![de])|%-[^dmHIMSj]")
_NO_FIELDS: Final = frozenset({"int", "float", "bool", "str", "list", "tuple", "dict", "set"})
_ASCII: Final = "re.ASCII is ignored here: write [A-Za-z0-9_] for \\w, and [0-9] for \\d"
_LAST_DIGITS: Final = "gives other last digits here"
_OTHERWISE: Final[Mapping[str, str]] = {
    **dict.fromkeys(("re.A", "re.ASCII"), _ASCII),
    "math.cbrt": f"math.cbrt() {_LAST_DIGITS}: write x ** (1 / 3)",
    "math.exp2": f"math.exp2() {_LAST_DIGITS}: write 2.0 ** x",
    **{f"math.{name}": f"math.{name}() {_LAST_DIGITS}: use a tool, or a table" for name in ("erf", "erfc")},
    "math.atanh": f"math.atanh() {_LAST_DIGITS}: write math.log((1 + x) / (1 - x)) / 2",
    **{f"math.{name}": f"math.{name}() {_LAST_DIGITS}: use math.factorial()" for name in ("gamma", "lgamma")},
    "math.sumprod": "math.sumprod() is newer than Python 3.11: write sum(x * y for x, y in zip(xs, ys))",
    "itertools.batched": "itertools.batched() is newer than Python 3.11: write xs[i : i + n] in a loop",
}
