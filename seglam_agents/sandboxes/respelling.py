"""`respelt`: a program as Monty is given it, with `strptime` replaced by one that reads what Python reads.

`finditer`, which gives a list there, is put into `iter(…)`. Only names change, in their place: every line stays the
line that it was.
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
_FINDING: Final = "finditer"
_WHOLE: Final = "datetime.datetime.strptime"
_DATES: Final = Path(__file__).with_name("monty_dates.py").read_text(encoding="utf-8")
_FIELDS: Final = "dfHImMSyYzpBbAa%"


class Respelt(NamedTuple):
    """What is executed in place of a program."""

    before: str
    """What is executed before it."""
    source: str


class _Edit(NamedTuple):
    """A piece of a line, in bytes, and what stands there instead."""

    line: int
    start: int
    end: int
    text: str


@lru_cache(maxsize=1024)
def respelt(source: str) -> Respelt:
    """Return a program as Monty is given it; one that cannot be read stays as it is."""
    if _NAME not in source and _FINDING not in source:
        return Respelt("", source)
    nodes = list(ast.walk(parsed(source)))
    readers = [_replaced(node) for node in _readers(nodes, imports(nodes))]
    edits = [*readers, *(edit for node in _finders(nodes, imports(nodes)) for edit in _put_into_iter(node))]
    if not edits:
        return Respelt("", source)
    lines = source.encode().splitlines(keepends=True)
    # From the end, so that the places of the others stay where they are.
    for edit in sorted(edits, reverse=True):
        line = lines[edit.line - 1]
        lines[edit.line - 1] = line[: edit.start] + edit.text.encode() + line[edit.end :]
    return Respelt(_DATES if readers else "", b"".join(lines).decode())


def shared_matches(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Return where a program finds matches in a way that cannot be replaced."""
    inside = _inside_texts(nodes)
    called = {id(node.func) for node in _finders(nodes, imported)}
    for node in nodes:
        if id(node) in inside and isinstance(node, ast.Call) and id(node.func) in called:
            yield Problem(node.lineno, "finditer() cannot stand in an f-string here: give its result a name first")
        elif _is_finder(node, imported) and id(node) not in called:
            yield Problem(getattr(node, "lineno", 1), "finditer is no value here: call it where it stands")


def unreadable_dates(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Return where a program reads dates in a way that cannot be replaced."""
    readers = list(_readers(nodes, imported))
    inside = _inside_texts(nodes)
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


def _replaced(node: ast.Attribute) -> _Edit:
    return _Edit(node.lineno, node.col_offset, node.end_col_offset or 0, HELPERS[0])


def _put_into_iter(node: ast.Call) -> list[_Edit]:
    end = node.end_col_offset or 0
    return [
        _Edit(node.lineno, node.col_offset, node.col_offset, "_iter_("),
        _Edit(node.end_lineno or 0, end, end, ")"),
    ]


def _finders(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> list[ast.Call]:
    """Return the calls that give a list of matches; a method of the program's own of that name is not one."""
    if any(isinstance(node, ast.FunctionDef) and node.name == _FINDING for node in nodes):
        return []
    return [node for node in nodes if isinstance(node, ast.Call) and _is_finder(node.func, imported)]


def _is_finder(node: ast.AST, imported: Mapping[str, str]) -> bool:
    if isinstance(node, ast.Name):
        return dotted(node, imported) == f"re.{_FINDING}"
    return isinstance(node, ast.Attribute) and node.attr == _FINDING


def _inside_texts(nodes: Sequence[ast.AST]) -> set[int]:
    """Return what stands in f-strings, where the places of things are not known."""
    return {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}


def _odd_field(node: ast.Call) -> str:
    """Return the first directive of a format that is not understood; one that is computed shows itself in a run."""
    form = node.args[1] if len(node.args) == 2 else None
    if not (isinstance(form, ast.Constant) and isinstance(form.value, str)):
        return ""
    fields = form.value.split("%")[1:] if "%%" not in form.value else form.value.replace("%%", "").split("%")[1:]
    return next((field[:1] or " " for field in fields if field[:1] not in _FIELDS or not field), "")
