"""Checks on what a body knows by heart: values of the requests that it was made for, and words that decide."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping

from seglam_agents.admission.case import AMOUNTS, OPEN_WORDS, Case, arguments_of, verdict
from seglam_agents.compilers.base import Known
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.template import Literal, walk
from seglam_agents.records.entry import Check
from seglam_agents.records.values import Money, Quantity, Value


def check_memory(case: Case) -> Check:
    """No value of a known request is looked for in the body: that would be its answer, learnt by heart."""
    procedure = case.candidate.procedure
    if procedure.provenance.compiler == "traces":
        return Check(name="memory", verdict="skipped", evidence="it was made from runs")
    tree, given = ast.parse(procedure.body), case.candidate.known
    bound = [(known, arguments_of(case, dict(known.request.context))(known.request.text) or {}) for known in given]
    numbers = frozenset(n for _, arguments in bound for value in arguments.values() for n in _numbers(value))
    texts = list(dict.fromkeys(text for known, arguments in bound for text in _open_texts(case, known, arguments)))
    amounts = [p.name for p in procedure.parameters if p.slot.partition("(")[0] in AMOUNTS]
    spelt = frozenset(_spelt(case))
    looked = [n for n in _equalled(tree) if abs(n) > _SMALL and n not in _ROUND]
    looked += [n for n in _measured(tree, amounts) if abs(n) > 1 and n not in _ROUND]
    problems = [
        f"`run` looks for {number:g}, a value of a given request: compute the answer from any value"
        for number in dict.fromkeys(looked)
        if number in numbers and number not in spelt
    ]
    options = _options(case)
    problems += [
        f"`run` looks for {text!r}, a word of a given request: compute the answer from any word, or capture it as a "
        "choice of the words that are known"
        for text in _looked_for(tree)
        if text.casefold() not in options and any(_holds(text, value) for value in texts)
    ]
    return verdict("memory", problems, len(numbers) + len(texts))


def check_branches(case: Case) -> Check:
    """What is done does not hang on a word that may be any: words that decide are a choice of what is known."""
    procedure = case.candidate.procedure
    guard = case.loaded.guard
    if procedure.provenance.compiler == "traces" or not isinstance(guard, TemplateGuard):
        return Check(name="branches", verdict="skipped", evidence="it was made from runs, or its guard is code")
    open_slots = [name for name, kind in guard.slots.items() if _bare(kind.name) in OPEN_WORDS]
    lists = [name for name in open_slots if guard.slots[name].name.startswith("list(")]
    tree = ast.parse(procedure.body)
    problems = [
        f"`{name}` may be any word, and `run` compares it with {word!r}: capture it as `{{{name}:choice({word}|…)}}`, "
        "so that other words are declined"
        for name, word in dict.fromkeys(_branches(tree, _aliases(tree, open_slots, lists)))
    ]
    return verdict("branches", problems, len(open_slots))


def _numbers(value: Value) -> Iterator[float]:
    match value:
        case bool():
            pass
        case int() | float():
            yield float(value)
        case Money(amount=number) | Quantity(value=number):
            yield float(number)
        case list():
            for item in value:
                yield from _numbers(item)
        case _:
            pass


def _spelt(case: Case) -> Iterator[float]:
    """Yield the numbers that templates spell out: they are a part of the kind."""
    guard = case.loaded.guard
    for pattern in guard.patterns if isinstance(guard, TemplateGuard) else ():
        for element in walk(pattern.template.elements):
            if isinstance(element, Literal):
                yield from (float(number) for number in re.findall(r"\d+(?:\.\d+)?", normalise(element.text).text))


def _open_texts(case: Case, known: Known, arguments: Mapping[str, Value]) -> Iterator[str]:
    """Yield the words of a known request that stand where others may stand."""
    for name, value in arguments.items():
        for text in _texts(value):
            if _is_open(case, known, name, text):
                yield text


def _is_open(case: Case, known: Known, name: str, text: str) -> bool:
    guard = case.loaded.guard
    if isinstance(guard, TemplateGuard):
        return name in guard.slots and _bare(guard.slots[name].name) in _ANY_TEXT
    other = (
        arguments_of(case, dict(known.request.context))(known.request.text.replace(text, _UNHEARD)) if text else None
    )
    return other is not None and _UNHEARD.casefold() in str(other.get(name)).casefold()


def _bare(kind: str) -> str:
    return kind.removeprefix("list(").removesuffix(")")


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))


def _options(case: Case) -> frozenset[str]:
    """Return the words of closed slots, which a body may look for."""
    kinds = [parameter.slot for parameter in case.candidate.procedure.parameters]
    listed = (kind.removeprefix("choice(").removesuffix(")") for kind in kinds if kind.startswith("choice("))
    return frozenset(option.casefold() for options in listed for option in options.split("|"))


def _holds(text: str, value: str) -> bool:
    """Tell whether a text of the body is a word of a request, or has one in it."""
    said = {word for word in re.findall(r"\w+", value.casefold()) if len(word) > 2}
    return text.strip().casefold() == value.strip().casefold() or bool(said & set(re.findall(r"\w+", text.casefold())))


def _equalled(tree: ast.Module) -> list[float]:
    """Return the numbers that a body compares for equality, or keeps as keys."""
    parts: list[ast.expr] = []
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, ops=ops, comparators=right) if any(isinstance(op, _EQUALITY) for op in ops):
                parts += [left, *right]
            case ast.Dict(keys=keys):
                parts += [key for key in keys if key is not None]
            case ast.MatchValue(value=value):
                parts.append(value)
            case _:
                pass
    return list(dict.fromkeys(number for part in parts for number in _constant_numbers(part)))


def _measured(tree: ast.Module, amounts: Collection[str]) -> list[float]:
    """Return the numbers that a body compares an amount itself with, whatever the comparison, and not to give up."""
    declining = _declining(tree)
    compared = (node for node in ast.walk(tree) if isinstance(node, ast.Compare) and id(node) not in declining)
    sides = ([node.left, *node.comparators] for node in compared)
    return [
        number
        for parts in sides
        if any(_is_argument(part, amounts) for part in parts)
        for part in parts
        for number in _constant_numbers(part)
    ]


def _is_argument(node: ast.expr, names: Collection[str]) -> bool:
    match node:
        case ast.Name(id=name):
            return name in names
        case ast.Attribute(value=ast.Name(id=name), attr="amount" | "value"):
            return name in names
        case _:
            return False


def _constant_numbers(part: ast.expr) -> Iterator[float]:
    for inner in ast.walk(part):
        if (
            isinstance(inner, ast.Constant)
            and isinstance(inner.value, (int, float))
            and not isinstance(inner.value, bool)
        ):
            yield float(inner.value)


def _looked_for(tree: ast.Module) -> list[str]:
    """Return the texts that a body compares something with, keeps as keys or in lists, or searches for."""
    parts: list[ast.expr] = []
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=right):
                parts += [left, *right]
            case ast.Dict(keys=keys):
                parts += [key for key in keys if key is not None]
            case ast.Set(elts=elements) | ast.List(elts=elements) | ast.Tuple(elts=elements):
                parts += elements
            case ast.MatchValue(value=value):
                parts.append(value)
            case ast.Call(func=ast.Attribute(attr=method), args=arguments) if method in _SEARCHES:
                parts += arguments
            case _:
                pass
    return list(dict.fromkeys(text for part in parts for text in _constant_texts(part)))


def _constant_texts(part: ast.expr) -> Iterator[str]:
    """Yield the texts of an expression but for those that name a part of something, as "city" in row["city"]."""
    match part:
        case ast.Constant(value=str() as text):
            yield text
        case ast.Subscript(value=value):
            yield from _constant_texts(value)
        case ast.Call(args=arguments):
            yield from (text for argument in arguments for text in _constant_texts(argument))
        case ast.Set(elts=elements) | ast.List(elts=elements) | ast.Tuple(elts=elements):
            yield from (text for element in elements for text in _constant_texts(element))
        case ast.BoolOp(values=values):
            yield from (text for value in values for text in _constant_texts(value))
        case _:
            pass


def _aliases(tree: ast.Module, names: Collection[str], lists: Collection[str]) -> dict[str, str]:
    """Return the names that hold an argument, or each item of a list, with that argument."""
    found = {name: name for name in names}
    for node in ast.walk(tree):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=alias)], value=value)
                | ast.NamedExpr(target=ast.Name(id=alias), value=value)
            ) if origin := found.get(_plain(value)):
                found.setdefault(alias, origin)
            case (
                ast.For(target=ast.Name(id=alias), iter=value)
                | ast.comprehension(target=ast.Name(id=alias), iter=value)
            ) if (origin := found.get(_plain(value))) in lists:
                found.setdefault(alias, origin or "")
            case _:
                pass
    return found


def _branches(tree: ast.Module, origins: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the arguments that are compared with words, but where the body then gives up."""
    declining = _declining(tree)
    tables = dict(_tables(tree))
    for node in (node for node in ast.walk(tree) if id(node) not in declining):
        asked, texts = _question(node)
        names = [origins[name] for name in map(_plain, asked) if name in origins]
        words = [word for text in texts for word in _words_of(text, tables)] if names else []
        yield from ((name, words[0]) for name in names if words)


def _question(node: ast.AST) -> tuple[list[ast.expr], list[ast.expr]]:
    """Return what a node asks about, and what it compares that with or looks it up in."""
    match node:
        case ast.Compare(left=left, ops=ops, comparators=right):
            # A letter in "aeiou" is computed with.
            within = [side for op, side in zip(ops, right, strict=True) if isinstance(op, (ast.In, ast.NotIn))]
            letters = [id(side) for side in within if isinstance(side, ast.Constant)]
            return [left, *right], [side for side in (left, *right) if id(side) not in letters]
        case ast.Match(subject=subject, cases=cases):
            patterns = (pattern for case in cases for pattern in ast.walk(case.pattern))
            return [subject], [pattern.value for pattern in patterns if isinstance(pattern, ast.MatchValue)]
        case ast.Subscript(value=table, slice=key):
            return [key], [table]
        case ast.Call(func=ast.Attribute(value=table, attr="get" | "index"), args=[key, *_]):
            return [key], [table]
        case _:
            return [], []


def _declining(tree: ast.Module) -> frozenset[int]:
    """Return the nodes of the tests after which a body does nothing but give up."""
    branches = (n for n in ast.walk(tree) if isinstance(n, ast.If) and all(map(_gives_up, n.body)))
    return frozenset(id(inner) for branch in branches for inner in ast.walk(branch.test))


def _gives_up(step: ast.stmt) -> bool:
    match step:
        case ast.Expr(value=ast.Call(func=ast.Name(id="deopt"))):
            return True
        case _:
            return False


def _plain(node: ast.expr) -> str:
    """Return the name in an expression that says the same in other letters, as `city.strip().lower()`."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Call(func=ast.Attribute(value=inner, attr="lower" | "upper" | "casefold" | "strip" | "title")):
            return _plain(inner)
        case _:
            return ""


def _tables(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case _:
                pass


def _words_of(node: ast.expr, tables: dict[str, ast.expr]) -> list[str]:
    """Return the words that an expression spells out: single letters are computed with."""
    match node:
        case ast.Name(id=name) if name in tables:
            return _words_of(tables[name], {})
        case ast.Dict(keys=keys):
            return [word for key in keys if key is not None for word in _words_of(key, {})]
        case ast.Set(elts=elements) | ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [word for element in elements for word in _words_of(element, {})]
        case ast.Call(func=ast.Name(id="set" | "frozenset" | "tuple" | "list"), args=[inner]):
            return _words_of(inner, tables)
        case ast.Constant(value=str() as text) if re.fullmatch(r"[^\W\d_]{2,}(?: [^\W\d_]+)*", text.strip()):
            return [text.strip()]
        case _:
            return []


_UNHEARD = "Xylophones"
_ANY_TEXT = OPEN_WORDS | {"quoted", "id", "email", "url"}
_EQUALITY = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)
_SEARCHES = frozenset(
    ("startswith", "endswith", "find", "rfind", "index", "count", "get", "removeprefix", "removesuffix", "match",
     "fullmatch", "search")
)  # fmt: skip
_SMALL = 12
_ROUND = frozenset((24, 60, 100, 365, 366, 1000))
"""Numbers that a body may know by itself."""
