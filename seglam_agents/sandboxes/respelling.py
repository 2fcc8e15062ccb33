"""`respelt`: a program as Monty is given it, with what reads dates and makes lengths of time replaced by our own.

Monty's read other texts than Python's, and take other numbers. `finditer`, which gives a list there, is put into
`iter(…)`. Only names change, in their place: every line stays the line that it was.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from seglam_agents.sandboxes.base import Problem
from seglam_agents.sandboxes.naming import LOOKED_AT, dotted, imports, parsed
from seglam_agents.sandboxes.patterns import ends
from seglam_agents.sandboxes.places import LAZY
from seglam_agents.sandboxes.stretching import Edit, replaced, stretched

_FINDING: Final = "finditer"
_SPAN: Final = "datetime.timedelta"
_OURS: Final[Mapping[str, tuple[str, str]]] = {
    "datetime.datetime.strptime": ("_strptime_", "monty_dates.py"),
    "datetime.date.fromisoformat": ("_date_iso_", "monty_iso.py"),
    "datetime.datetime.fromisoformat": ("_datetime_iso_", "monty_iso.py"),
    "datetime.time.fromisoformat": ("_time_iso_", "monty_iso.py"),
    _SPAN: ("_timedelta_", "monty_spans.py"),
}
"""What stands in place of what, and the file that it is in."""
_READERS: Final = frozenset({"strptime", "fromisoformat"})
_HINTS: Final = (_FINDING, "datetime", "next", "$")
_TEXTS: Final = {
    name: Path(__file__).with_name(name).read_text(encoding="utf-8")
    for name in sorted({file for _, file in _OURS.values()})
}
HELPERS: Final = frozenset(
    node.name for text in _TEXTS.values() for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)
)
"""The functions of ours that a program calls without knowing."""
_FIELDS: Final = "dfHImMSyYzpBbAa%"
_FORMS: Final[Mapping[str, str]] = {
    "strptime": "datetime.strptime(text, format)",
    "fromisoformat": "date.fromisoformat(text), or as that of datetime or time,",
}


class Respelt(NamedTuple):
    """What is executed in place of a program."""

    before: str
    """What is executed before it."""
    source: str


@lru_cache(maxsize=LOOKED_AT)
def respelt(source: str) -> Respelt:
    """Return a program as Monty is given it; one that cannot be read stays as it is."""
    if not any(hint in source for hint in _HINTS):
        return Respelt("", source)
    nodes = list(ast.walk(parsed(source)))
    imported = imports(nodes)
    named = list(_replaced(nodes, imported))
    inside, lines = _texts_of(nodes), source.encode().splitlines(keepends=True)
    # Of two that begin in one place the outer one comes first, and so it stands first in the text.
    products = [node for node in stretched(nodes, imported) if isinstance(node, ast.BinOp) and id(node) not in inside]
    edits = [edit for node in products for edit in replaced(node, lines)]
    edits += [edit for node in _finders(nodes, imported) for edit in _put_into_iter(node)]
    edits += [edit for node in _firsts(nodes) for edit in _put_into_iter(node)]
    edits += [_renamed(node, repr(text)) for node, text in ends(nodes, imported)]
    edits += [_renamed(node, ours) for node, ours in named if id(node) not in inside]
    edits += [edit for text in _outermost(nodes) for edit in _within_text(text, lines, named)]
    if not edits:
        return Respelt("", source)
    # From the end, so that the places of the others stay where they are.
    for edit in sorted(_joined(edits), reverse=True):
        line = lines[edit.line - 1]
        lines[edit.line - 1] = line[: edit.start] + edit.text.encode() + line[edit.end :]
    files = sorted(
        {
            file
            for ours, file in _OURS.values()
            if any(ours == name for _, name in named) or (products and ours == "_timedelta_")
        }
    )
    return Respelt("\n".join(_TEXTS[file] for file in files), b"".join(lines).decode())


def _joined(edits: Sequence[Edit]) -> list[Edit]:
    """Make one of what is put into the same place."""
    texts: dict[tuple[int, int, int], str] = {}
    for line, start, end, text in edits:
        texts[line, start, end] = texts.get((line, start, end), "") + text
    return [Edit(*place, text) for place, text in texts.items()]


def shared_matches(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Return where a program finds matches in a way that cannot be replaced."""
    inside = _texts_of(nodes)
    called = {id(node.func) for node in _finders(nodes, imported)}
    for node in _firsts(nodes):
        if id(node) in inside:
            yield Problem(node.lineno, "next() cannot stand in an f-string here: give its result a name first")
    for node in nodes:
        if id(node) in inside and isinstance(node, ast.Call) and id(node.func) in called:
            yield Problem(node.lineno, "finditer() cannot stand in an f-string here: give its result a name first")
        elif _is_finder(node, imported) and id(node) not in called:
            yield Problem(getattr(node, "lineno", 1), "finditer is no value here: call it where it stands")


def unreadable_dates(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Return where a program reads dates in a way that cannot be replaced."""
    replaced = {id(node) for node, _ in _replaced(nodes, imported)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in _READERS and id(node) not in replaced:
            yield Problem(node.lineno, f"{node.attr}() is called as {_FORMS[node.attr]} here, by an imported name")
        elif isinstance(node, ast.Call) and id(node.func) in replaced and (field := _odd_field(node)):
            yield Problem(node.lineno, f"strptime() reads no %{field} here: only {' '.join('%' + x for x in _FIELDS)}")
        elif isinstance(node, ast.Attribute) and id(node) in replaced and node.end_lineno != node.lineno:
            yield Problem(node.lineno, f"datetime.{node.attr} is written in one line here")
    yield from _unfindable(nodes, imported)
    yield from _handed_around(nodes, imported)


def _handed_around(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Return where `timedelta` is a value, so that whoever calls it cannot be given our own."""
    spans = [node for node in nodes if isinstance(node, (ast.Name, ast.Attribute)) and dotted(node, imported) == _SPAN]
    parents = {id(child): node for node in nodes for child in ast.iter_child_nodes(node)} if spans else {}
    for node in spans:
        parent = parents.get(id(node))
        while isinstance(parent, (ast.Tuple, ast.BinOp, ast.Subscript)):
            parent = parents.get(id(parent))
        if not _takes_a_type(parent, node):
            yield Problem(node.lineno, "timedelta is no value here: write lambda x: timedelta(x), or call it")


def _takes_a_type(parent: ast.AST | None, node: ast.expr) -> bool:
    """Tell whether a type stands where it is called, asked for or compared, or says what a name is for."""
    if isinstance(parent, ast.Call):
        return parent.func is node or (isinstance(parent.func, ast.Name) and parent.func.id == "isinstance")
    kinds = (ast.Attribute, ast.Compare, ast.arg, ast.FunctionDef, ast.AnnAssign, ast.MatchClass, ast.MatchValue)
    return isinstance(parent, kinds)


def _unfindable(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Return where something that is replaced stands in an f-string in a way in which it cannot be found."""
    replaced, inside = list(_replaced(nodes, imported)), _texts_of(nodes)
    for text in _outermost(nodes) if any(id(node) in inside for node, _ in replaced) else ():
        within = _within(text, replaced)
        # A name may stand in the words of the text as well, which would be changed with it.
        found = len(re.findall("|".join(map(_pattern, {ast.unparse(node) for node, _ in within})), ast.unparse(text)))
        if within and (text.end_lineno != text.lineno or found != len(within)):
            name = dotted(within[0][0], imported).rpartition(".")[2]
            yield Problem(text.lineno, f"{name}() cannot stand in this f-string here: give its result a name first")


def _replaced(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[tuple[ast.expr, str]]:
    """Yield what is replaced, and by which function; a `timedelta` only where it is called with more than constants."""
    spans = {id(node.func) for node in nodes if isinstance(node, ast.Call) and not _is_plain_span(node)}
    for node in nodes:
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            whole = dotted(node, imported)
            if whole in _OURS and (whole != _SPAN or id(node) in spans):
                yield node, _OURS[whole][0]


def _is_plain_span(node: ast.Call) -> bool:
    given = [*node.args, *(word.value for word in node.keywords)]
    return len(node.args) < 4 and all(isinstance(x, ast.Constant) and isinstance(x.value, int) for x in given)


def _renamed(node: ast.expr, ours: str) -> Edit:
    return Edit(node.lineno, node.col_offset, node.end_col_offset or 0, ours)


def _within(text: ast.JoinedStr, replaced: Sequence[tuple[ast.expr, str]]) -> list[tuple[ast.expr, str]]:
    parts = {id(part) for part in ast.walk(text)}
    return [(node, ours) for node, ours in replaced if id(node) in parts]


def _within_text(text: ast.JoinedStr, lines: Sequence[bytes], replaced: Sequence[tuple[ast.expr, str]]) -> list[Edit]:
    """Return the edits of an f-string, in which the places of things are not known: they are looked for."""
    line, start, end = lines[text.lineno - 1], text.col_offset, text.end_col_offset or 0
    return [
        Edit(text.lineno, found.start(), found.end(), ours)
        for name, ours in {ast.unparse(node): ours for node, ours in _within(text, replaced)}.items()
        for found in re.compile(_pattern(name).encode()).finditer(line, start, end)
    ]


def _pattern(name: str) -> str:
    return rf"(?<![\w.]){re.escape(name)}(?![\w.])"


def _firsts(nodes: Sequence[ast.AST]) -> list[ast.expr]:
    """Return the lazy things of which the next one is taken; a list, which they are in Monty, has none."""
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    found: list[ast.expr] = []
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id="next"), args=[ast.GeneratorExp() as first, *_]):
                found.append(first)
            case ast.Call(func=ast.Name(id="next"), args=[ast.Call(func=ast.Name(id=name)) as first, *_]):
                found += [first] if name in LAZY - functions else []
            case _:
                pass
    return [] if "next" in functions else found


def _put_into_iter(node: ast.expr) -> list[Edit]:
    end = node.end_col_offset or 0
    # The place of a generator expression that is the only argument is that of the brackets of the call.
    before = "(_iter_" if isinstance(node, ast.GeneratorExp) else "_iter_("
    return [
        Edit(node.lineno, node.col_offset, node.col_offset, before),
        Edit(node.end_lineno or 0, end, end, ")"),
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


def _texts_of(nodes: Sequence[ast.AST]) -> set[int]:
    """Return what stands in f-strings, where the places of things are not known."""
    return {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}


def _outermost(nodes: Sequence[ast.AST]) -> list[ast.JoinedStr]:
    """Return the f-strings that stand in no other."""
    texts = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    inner = {id(part) for text in texts for part in ast.walk(text) if part is not text}
    return [text for text in texts if id(text) not in inner]


def _odd_field(node: ast.Call) -> str:
    """Return the first directive of a format that is not understood; one that is computed ends the run."""
    if not (isinstance(node.func, ast.Attribute) and node.func.attr == "strptime"):
        return ""
    form = node.args[1] if len(node.args) == 2 else None
    if not (isinstance(form, ast.Constant) and isinstance(form.value, str)):
        return ""
    fields = form.value.split("%")[1:] if "%%" not in form.value else form.value.replace("%%", "").split("%")[1:]
    return next((field[:1] or " " for field in fields if field[:1] not in _FIELDS or not field), "")
