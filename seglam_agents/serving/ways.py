"""Which way a body went on a request, and what it met there: what runs that agree are held together by.

A body is run with a mark in each of its branches. A mark is a call of a tool that no agent has; the host notes it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

from seglam_agents.records.record import digest
from seglam_agents.records.tools import Tool
from seglam_agents.records.values import Money, Quantity, Value, encode
from seglam_agents.records.ways import Seen, Way, shown
from seglam_agents.sandboxes.base import REMOTE, Limits, Program, ToolCall, ToolResult
from seglam_agents.serving.phrases import known_of, moment, phrase, sort_of, texts_in

MARK: Final = "seglam_went"
_MARKS: Final = 5_000
"""Marks that one run may make besides its calls."""
MAX_PLACES: Final = 400
"""Places of one run; one that has more shows nothing."""
Sight = tuple[str, Seen]


def marked(program: Program, compiler: str) -> Program:
    """Return a program that tells which of its branches it takes; as it is where its sandbox is far away.

    Args:
        program: that of a procedure.
        compiler: who wrote it. The helpers of code from runs decide nothing.
    """
    if program.sandbox in REMOTE or MARK in program.source:
        return program
    source = _marked(program.source, program.entry if compiler == "traces" else "")
    mark = Tool(name=MARK, effect="pure", parameters={"type": "object", "properties": {"branch": {"type": "integer"}}})
    return replace(program, source=source, tools=(*program.tools, mark))


def with_marks(limits: Limits) -> Limits:
    """Return the limits of a run that makes marks besides its calls."""
    return replace(limits, tool_calls=limits.tool_calls + _MARKS)


@dataclass(slots=True)
class Walk:
    """What a body did on one request, as far as it came."""

    arguments: Mapping[str, Value]
    now: datetime | None = None
    branches: set[int] = field(default_factory=set[int])
    calls: list[tuple[ToolCall, ToolResult]] = field(default_factory=list[tuple[ToolCall, ToolResult]])

    def way(self, writing: frozenset[str], wanted: ToolCall | None = None) -> Way | None:
        """Return the way as far as it came, up to a call that is wanted next; None where there is too much to see."""
        made = [call for call, _ in self.calls] + ([wanted] if wanted else [])
        steps = {*(call.tool for call in made), *(f"#{number}" for number in self.branches)}
        return self._seen(steps, made, writing)

    def ended(self, writing: frozenset[str], answer: Value) -> Way | None:
        """Return the whole way, with what was answered."""
        way = self.way(writing)
        known = known_of(text for value in self._values() for text in texts_in(value))
        said = list(_sights("answer", answer, _Look(known, answer=True)))
        if way is None or len(said) > MAX_PLACES:
            return None
        form = digest(sorted({(name, kind) for name, seen in said for kind in seen.kinds}))
        numbers = [(name, seen) for name, seen in said if seen.low is not None]
        return way.model_copy(update={"form": form, "places": {**way.places, **shown(numbers)}})

    def _values(self) -> Iterator[Value]:
        yield from self.arguments.values()
        for call, result in self.calls:
            yield from call.arguments.values()
            yield result.value

    def _seen(self, steps: set[str], made: Sequence[ToolCall], writing: frozenset[str]) -> Way | None:
        sights = [sight for name, value in self.arguments.items() for sight in _sights(name, value, _Look(asked=True))]
        for index, call in enumerate(made):
            if call.tool in writing:
                before = [result.value for _, result in self.calls[:index]]
                known = known_of(texts_in([*self.arguments.values(), *before]))
                for name, value in call.arguments.items():
                    sights += _sights(f"{call.tool}({name})", value, _Look(known))
        for call, result in self.calls:
            known = known_of(texts_in([*self.arguments.values(), *call.arguments.values()]))
            sights += _sights(call.tool, result.value, _Look(known, self.now))
        places = shown(sights)
        if len(places) > MAX_PLACES:
            return None
        said = [encode(dict(call.arguments)) for call in made]
        asked = encode(dict(self.arguments))
        results = [encode(result.value) for _, result in self.calls]
        run = f"{digest(asked) if asked else ''}:{digest(said, results)}"
        return Way(steps=tuple(sorted(steps)), runs=(run,), places=dict(places))


@dataclass(frozen=True, slots=True)
class _Look:
    """How a value is looked at."""

    known: Sequence[str] = ()
    """Texts that were known before it came."""
    now: datetime | None = None
    """The clock: what a day is depends on how long ago it is."""
    asked: bool = False
    """Whether it stands in the request, where an id is like others of its shape."""
    answer: bool = False
    """Whether it is said: then a text is its form."""


def _sights(path: str, value: Value, look: _Look) -> Iterator[Sight]:
    """Return what is seen of a value and in it, by place."""
    match value:
        case None:
            yield path, Seen(kinds=("nothing",))
        case bool():
            yield path, Seen(kinds=("true" if value else "false",))
        case int() | float():
            yield path, _number(value, "a number")
        case Money(amount=number, currency=unit) | Quantity(value=number, unit=unit):
            yield path, _number(number, f"in {unit}")
        case timedelta():
            yield path, _number(value.total_seconds(), "a time span")
        case datetime() | date() | time():
            yield from _days(path, moment(value), look.now if not isinstance(value, time) else None)
        case str():
            yield from _texts(path, value, look)
        case Mapping():
            keys = sorted(str(key) for key in value)
            yield path, Seen(kinds=(f"an object of {', '.join(keys)[:200]}/{digest(keys)}",))
            for key, item in value.items():
                yield from _sights(f"{path}.{key}", item, look)
        case _:
            yield f"{path}[]", _number(len(value), "a list" if value else "an empty list")
            for item in value:
                yield from _sights(f"{path}[].", item, look)
            if not look.answer:
                yield from _sums(path, value)


def _number(value: float, kind: str) -> Seen:
    number = float(value) if abs(value) < 1e300 else 1e300
    return Seen(kinds=(kind,), low=number, high=number)


def _days(path: str, seconds: float, now: datetime | None) -> Iterator[Sight]:
    yield path, _number(seconds, "a day")
    if now is not None:
        yield f"{path} ago", _number(moment(now) - seconds, "a time span")


def _texts(path: str, text: str, look: _Look) -> Iterator[Sight]:
    taken = phrase(text, look.known)
    for index, (sort, number) in enumerate(taken.numbers):
        place = f"{path}~{digest(taken.form, length=6)}{index}"
        if sort == "day":
            yield from _days(place, number, look.now)
        else:
            yield place, _number(number, "a number")
    if taken.named:
        yield path, Seen(kinds=("a value of the call",))
    elif look.answer:
        yield path, Seen(kinds=(digest(taken.form.casefold()),))
    elif look.asked and sort_of(text).startswith("like"):
        yield path, Seen(kinds=(sort_of(text),))
    else:
        yield path, Seen(kinds=(sort_of(taken.form),), texts=(digest(taken.form.casefold(), length=12),), times=1)


def _sums(path: str, rows: Sequence[Value]) -> Iterator[Sight]:
    """What is in rows is added up as often as it is looked at row by row."""
    sums: dict[str, float] = {}
    for row in rows:
        for name, item in row.items() if isinstance(row, Mapping) else (("", row),):
            if isinstance(item, (int, float)) and not isinstance(item, bool):
                sums[str(name)] = sums.get(str(name), 0.0) + item
    for name, total in sums.items():
        yield f"{path}[].{name} in all", _number(total, "a number")


@lru_cache(maxsize=256)
def _marked(source: str, only: str) -> str:
    """Return source with a mark in each branch of its functions, or of the one that is named."""
    tree = ast.parse(source)
    marker = _Marker()
    for index, node in enumerate(tree.body):
        if isinstance(node, ast.FunctionDef) and only in ("", node.name):
            tree.body[index] = marker.visit(node)
    return ast.unparse(ast.fix_missing_locations(tree))


class _Marker(ast.NodeTransformer):
    def __init__(self) -> None:
        self._count = 0

    def visit_If(self, node: ast.If) -> ast.AST:  # the name that `ast` calls
        """Mark both sides, also the one that is not written down."""
        node.body = [self._statement(), *node.body]
        node.orelse = [self._statement(), *node.orelse]
        return self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """Mark both sides of a choice within an expression."""
        self.generic_visit(node)
        return ast.IfExp(test=node.test, body=self._beside(node.body), orelse=self._beside(node.orelse))

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        """Mark what is done where something failed."""
        node.body = [self._statement(), *node.body]
        return self.generic_visit(node)

    def _call(self) -> ast.Call:
        self._count += 1
        return ast.Call(func=ast.Name(id=MARK, ctx=ast.Load()), args=[ast.Constant(self._count)], keywords=[])

    def _statement(self) -> ast.stmt:
        return ast.Expr(self._call())

    def _beside(self, value: ast.expr) -> ast.expr:
        both = ast.List(elts=[self._call(), value], ctx=ast.Load())
        return ast.Subscript(value=both, slice=ast.Constant(1), ctx=ast.Load())
