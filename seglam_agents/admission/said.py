"""What a guard that is code may spell out: the words of known requests, as a template may.

A pattern such as `(split|multiply)`, an optional tail, a second sentence or a word that opens the guard are wordings
that nobody has used; no change of a known request has to meet them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator

from seglam_agents.guards.slots.names import same_noun
from seglam_agents.guards.spellings import canonical
from seglam_agents.guards.wordings import NUMBER_WORDS


def unsaid_words(code: str, texts: Iterable[str], names: Collection[str]) -> list[str]:
    """Return the words in the texts of `match`, and of what it uses, that no known request says.

    Args:
        code: the module with `match`.
        texts: known requests, normalised and as they were written.
        names: what may be spelt besides: arguments, types of slots, units.
    """
    reached = _reached(ast.parse(code), "match")
    known = {word for text in texts for word in _words(text)}
    allowed = {*known, *NUMBER_WORDS, *(word for name in names for word in _words(name))}
    found = dict.fromkeys(word for node in reached for text in _texts(node) for word in _words(_plain(text)))
    return [word for word in found if word not in allowed and canonical(word) and not _is_form(word, known)]


def own_readings(code: str, texts: Collection[str] = ()) -> list[str]:
    """Return the functions with which a code guard, or a body on arguments that are texts, reads numbers by itself.

    Args:
        code: the module with `match` and `run`.
        texts: the arguments of `run` that are texts.
    """
    module = ast.parse(code)
    found = [name for node in _reached(module, "match") for name in _readings(node, None)]
    found += [name for node in _reached(module, "run") for name in _readings(node, texts)]
    return list(dict.fromkeys(found))


def _readings(definition: ast.AST, texts: Collection[str] | None) -> Iterator[str]:
    """Yield the readers of numbers that a definition uses, on anything but numbers (None), or on some names."""
    counted = _counted(definition)
    called = {id(node.func) for node in ast.walk(definition) if isinstance(node, ast.Call)}
    for node in ast.walk(definition):
        match node:
            case ast.Call(func=reader, args=[argument], keywords=[]) if name := _reader(reader):
                read = isinstance(argument, ast.Name) and argument.id in texts if texts is not None else True
                if read and not _is_counted(argument, counted):
                    yield name
            case ast.Name(ctx=ast.Load()) if texts is None and id(node) not in called and (name := _reader(node)):
                yield name
            case _:
                pass


def _reader(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) if name in _READERS:
            return name
        case ast.Attribute(value=ast.Name(id="decimal"), attr="Decimal"):
            return "Decimal"
        case ast.Attribute(value=ast.Name(id="json"), attr="loads"):
            return "json.loads"
        case _:
            return ""


def _counted(definition: ast.AST) -> frozenset[str]:
    """Return the names of what is a number already: read by `parse`, or counted."""
    found: set[str] = set()
    for node in ast.walk(definition):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.NamedExpr(target=ast.Name(id=name), value=value)
            ) if _is_counted(value, ()):
                found.add(name)
            case _:
                pass
    return frozenset(found)


def _is_counted(node: ast.expr, counted: Collection[str]) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in ("parse", "len", "round", "sum", "convert")
        case ast.Name(id=name):
            return name in counted
        case ast.Attribute(value=value):
            return _is_counted(value, counted)
        case ast.BinOp(left=left, right=right):
            return _is_counted(left, counted) or _is_counted(right, counted)
        case ast.Compare() | ast.BoolOp():
            return True
        case _:
            return False


def _is_form(word: str, known: Collection[str]) -> bool:
    """Tell whether a word is a plural, a pronoun or an auxiliary like one of the known ones."""
    return any(same_noun(word, other) or canonical(word) == canonical(other) for other in known)


def _reached(module: ast.Module, entry: str) -> list[ast.AST]:
    """Return the definitions of a module that one of them uses."""
    defined = {name: node for node in module.body for name in _defines(node)}
    waiting, reached = [entry], dict[str, ast.AST]()
    while waiting:
        name = waiting.pop()
        if name in defined and name not in reached:
            reached[name] = defined[name]
            waiting += [node.id for node in ast.walk(defined[name]) if isinstance(node, ast.Name)]
    return list(dict.fromkeys(reached.values()))


def _defines(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
            yield name
        case _:
            pass


def _texts(node: ast.AST) -> Iterator[str]:
    """Yield the texts of a definition without its docstrings."""
    said = {id(inner.value) for inner in ast.walk(node) if isinstance(inner, ast.Expr)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and id(inner) not in said:
            yield inner.value


def _plain(text: str) -> str:
    """Return a text without what is a pattern's: classes, escapes, names of groups and flags."""
    for syntax in _SYNTAX:
        text = syntax.sub(" ", text)
    return text


def _words(text: str) -> list[str]:
    return [word.casefold() for word in re.findall(r"[^\W\d_]{2,}", text)]


_SYNTAX = (
    re.compile(r"\\N\{[^}]*\}|\\[a-zA-Z]"),
    re.compile(r"\(\?P[<=]\w+[>)]|\(\?[a-zA-Z-]+[:)]"),
    re.compile(r"\[\^?\]?[^\]]*\]"),
)
_READERS = ("int", "float", "Decimal", "complex")
