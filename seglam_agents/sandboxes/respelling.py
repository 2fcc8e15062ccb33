"""`respelt`: a program as Monty is given it, with `strptime` replaced by one that reads what Python reads.

Only the name changes, in its place: every line stays the line that it was.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from seglam_agents.sandboxes.base import Problem
from seglam_agents.sandboxes.naming import dotted, imports, parsed

HELPERS: Final = ("_strptime_", "_date_zone_", "_date_pattern_")
"""The functions of ours that a program calls without knowing."""
_NAME: Final = "strptime"
_WHOLE: Final = "datetime.datetime.strptime"
_DATES: Final = Path(__file__).with_name("monty_dates.py").read_text(encoding="utf-8")
_FIELDS: Final = "dfHImMSyYzpBbAa%"


class Respelt(NamedTuple):
    """What is executed in place of a program."""

    before: str
    """What is executed before it."""
    source: str


@lru_cache(maxsize=1024)
def respelt(source: str) -> Respelt:
    """Return a program as Monty is given it; one that cannot be read stays as it is."""
    if _NAME not in source:
        return Respelt("", source)
    nodes = list(ast.walk(parsed(source)))
    readers = sorted(_readers(nodes, imports(nodes)), key=_place, reverse=True)
    if not readers:
        return Respelt("", source)
    lines = source.encode().splitlines(keepends=True)
    # From the end, so that the places of the others stay where they are.
    for node in readers:
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line[: node.col_offset] + HELPERS[0].encode() + line[node.end_col_offset :]
    return Respelt(_DATES, b"".join(lines).decode())


def unreadable_dates(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Return where a program reads dates in a way that cannot be replaced."""
    readers = list(_readers(nodes, imported))
    inside = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr == _NAME and node not in readers:
            yield Problem(node.lineno, "strptime() is called as datetime.strptime(text, format) here")
        elif isinstance(node, ast.Call) and node.func in readers and (field := _odd_field(node)):
            yield Problem(node.lineno, f"strptime() reads no %{field} here: only {' '.join('%' + x for x in _FIELDS)}")
    for node in readers:
        if id(node) in inside:
            yield Problem(node.lineno, "strptime() cannot stand in an f-string here: give its result a name first")
        elif node.end_lineno != node.lineno:
            yield Problem(node.lineno, "datetime.strptime is written in one line here")


def _readers(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[ast.Attribute]:
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr == _NAME and dotted(node, imported) == _WHOLE:
            yield node


def _place(node: ast.Attribute) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _odd_field(node: ast.Call) -> str:
    """Return the first directive of a format that is not understood; one that is computed shows itself in a run."""
    form = node.args[1] if len(node.args) == 2 else None
    if not (isinstance(form, ast.Constant) and isinstance(form.value, str)):
        return ""
    fields = form.value.split("%")[1:] if "%%" not in form.value else form.value.replace("%%", "").split("%")[1:]
    return next((field[:1] or " " for field in fields if field[:1] not in _FIELDS or not field), "")
