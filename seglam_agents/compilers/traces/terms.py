"""`Term`: an expression over what a body can see, as Python source and as a function that computes the same.

What a body sees at one point of one trace is a `View`: its arguments, the results of the calls so far, the element of
the loop it is in, and `now`. The functions that generated bodies may use are `PRELUDE`; the same functions are what
terms compute with here, so that a term means in the sandbox what it meant when it was chosen.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias, cast

from seglam_agents.compilers.traces import prelude
from seglam_agents.compilers.traces.prelude import Unknown
from seglam_agents.records.values import Value

View: TypeAlias = Mapping[str, Value]
Family: TypeAlias = Literal["constant", "request", "result", "clock", "computed"]


@dataclass(frozen=True, slots=True)
class Term:
    """One expression."""

    code: str
    function: Callable[[View], Value] = field(compare=False, repr=False)
    family: Family
    size: int = 1
    sources: frozenset[str] = frozenset()
    """The names it reads."""
    rivals: tuple[Term, ...] = field(default=(), compare=False, repr=False)
    """What has to agree for it to have a value."""
    uses: frozenset[str] = field(default=frozenset(), compare=False)
    """The functions that it applies."""
    parts: tuple[Term, ...] = field(default=(), compare=False, repr=False)
    """What it is made of."""

    def __call__(self, view: View) -> Value:
        """Compute it.

        Raises:
            Unknown: it has no value here.
        """
        try:
            return self.function(view)
        except Exception as error:  # whatever the data does: a term that fails here explains nothing here
            raise Unknown(str(error)) from error


Values: TypeAlias = tuple[Value, ...]


def within(term: Term) -> Iterator[Term]:
    """Yield a term and all that it is made of."""
    yield term
    for part in term.parts:
        yield from within(part)


def values(term: Term, views: Iterable[View]) -> Values | None:
    """Return the values of a term in all views; None where it has none in one of them."""
    try:
        return tuple(term(view) for view in views)
    except Unknown:
        return None


def constant(value: Value) -> Term:
    """Return a literal."""
    return Term(literal(value), lambda _: value, "constant", 1)


def named(key: str) -> Term:
    """Return a key of records, as an argument of functions over them; it weighs nothing."""
    return Term(literal(key), lambda _: key, "constant", 0)


def variable(name: str, family: Family) -> Term:
    """Return an argument or a result by its name."""
    return Term(name, lambda view: view[name], family, 1, frozenset((name,)))


def item(owner: Term, key: str) -> Term:
    """Return a key of a dict."""
    return Term(
        f"{owner.code}[{key!r}]",
        lambda view: cast(Mapping[str, Value], owner.function(view))[key],
        owner.family,
        owner.size + 1,
        owner.sources,
        uses=owner.uses,
        parts=(owner,),
    )


def applied(name: str, *arguments: Term, family: Family | None = None, options: Sequence[Value] = ()) -> Term:
    """Return a function of the prelude, or one of Python's own, applied to terms and literal options."""
    function = FUNCTIONS[name]
    if len(arguments) == 1:
        return _applied_to(name, function, arguments[0], family or arguments[0].family, options)
    code = f"{name}({', '.join([*(a.code for a in arguments), *(literal(option) for option in options)])})"
    return Term(
        code,
        lambda view: function(*(argument.function(view) for argument in arguments), *options),
        family or arguments[0].family,
        1 + sum(argument.size for argument in arguments),
        frozenset[str]().union(*(argument.sources for argument in arguments)),
        uses=frozenset((name,)).union(*(argument.uses for argument in arguments)),
        parts=arguments,
    )


def _applied_to(
    name: str, function: Callable[..., Value], argument: Term, family: Family, options: Sequence[Value]
) -> Term:
    """Return a function of one term: most terms are such ones, and many are made."""
    inner = argument.function
    code = (
        f"{name}({argument.code})" if not options else f"{name}({', '.join((argument.code, *map(literal, options)))})"
    )
    return Term(
        code,
        (lambda view: function(inner(view), *options)) if options else (lambda view: function(inner(view))),
        family,
        1 + argument.size,
        argument.sources,
        uses=argument.uses | {name},
        parts=(argument,),
    )


def attribute(owner: Term, name: str) -> Term:
    """Return `.amount` of money, `.value` of a quantity."""
    return Term(
        f"{owner.code}.{name}",
        lambda view: getattr(owner.function(view), name),
        owner.family,
        owner.size,
        owner.sources,
        uses=owner.uses,
    )


def operation(operator: str, left: Term, right: Term) -> Term:
    """Return a sum, difference, product or quotient."""
    compute = _OPERATORS[operator]
    first = left.code if left.size == 1 or "(" not in left.code[:1] else f"({left.code})"
    return Term(
        f"{_wrapped(left) if left.family == 'computed' else first} {operator} {_wrapped(right)}",
        lambda view: compute(_number(left.function(view)), _number(right.function(view))),
        "computed",
        1 + left.size + right.size,
        left.sources | right.sources,
        uses=left.uses | right.uses | {operator},
        parts=(left, right),
    )


def joined(parts: Sequence[Term | str]) -> Term:
    """Return an f-string of literal texts and terms."""
    pieces = [_escaped(part) if isinstance(part, str) else "{" + part.code + "}" for part in parts]
    terms = [part for part in parts if isinstance(part, Term)]
    quote = '"' if not any('"' in piece for piece in pieces) else "'"
    if quote == "'" and any("'" in piece for piece in pieces):
        raise Unknown  # Nested quotes in an f-string need Python 3.12.
    return Term(
        f"f{quote}{''.join(pieces)}{quote}",
        lambda view: "".join(part if isinstance(part, str) else str(part.function(view)) for part in parts),
        _mixed(terms),
        1 + sum(term.size for term in terms),
        frozenset[str]().union(*(term.sources for term in terms)),
        uses=frozenset[str]().union(*(term.uses for term in terms)),
        parts=tuple(terms),
    )


def agreeing(terms: Sequence[Term]) -> Term:
    """Return a term that has a value only where all of these have the same."""
    parts = {part.code: part for term in terms for part in (term.rivals or (term,))}
    if len(parts) == 1:
        return terms[0]
    together = applied("agree", *parts.values(), family=terms[0].family)
    return replace(together, rivals=tuple(parts.values()))


def mapping(entries: Mapping[str, Term]) -> Term:
    """Return a dict of terms."""
    terms = list(entries.values())
    return Term(
        "{" + ", ".join(f"{key!r}: {term.code}" for key, term in entries.items()) + "}",
        lambda view: {key: term.function(view) for key, term in entries.items()},
        _mixed(terms),
        1 + sum(term.size for term in terms),
        frozenset[str]().union(*(term.sources for term in terms)),
        uses=frozenset[str]().union(*(term.uses for term in terms)),
        parts=tuple(terms),
    )


def sequence(terms: Sequence[Term]) -> Term:
    """Return a list of terms."""
    return Term(
        "[" + ", ".join(term.code for term in terms) + "]",
        lambda view: [term.function(view) for term in terms],
        _mixed(terms),
        1 + sum(term.size for term in terms),
        frozenset[str]().union(*(term.sources for term in terms)),
        uses=frozenset[str]().union(*(term.uses for term in terms)),
        parts=tuple(terms),
    )


def literal(value: Value) -> str:
    """Return Python source for a JSON value."""
    return repr(value)


def used_functions(code: str) -> list[str]:
    """Return the names of prelude functions that a source uses, with those that they use, in order of definition."""
    wanted = {name for name in PRELUDE if re.search(rf"\b{name}\(", code)}
    while more := {n for n in PRELUDE for w in wanted if re.search(rf"\b{n}\(", PRELUDE[w])} - wanted:
        wanted |= more
    return [name for name in PRELUDE if name in wanted]


def _mixed(terms: Sequence[Term]) -> Family:
    families = {term.family for term in terms} or {"constant"}
    for family in ("computed", "clock", "result", "request"):
        if family in families:
            return cast(Family, family)
    return "constant"


def _wrapped(term: Term) -> str:
    return f"({term.code})" if term.family == "computed" else term.code


def _escaped(text: str) -> str:
    if "\\" in text or "\n" in text or not text.isprintable():
        return repr(text)[1:-1].replace("{", "{{").replace("}", "}}")
    return text.replace("{", "{{").replace("}", "}}")


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("no number")
    return value


_OPERATORS: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


def _prelude() -> Mapping[str, str]:
    """Return the source of each function of the prelude but `deopt`, which every sandbox brings along."""
    source = Path(prelude.__file__).read_text(encoding="utf-8")
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name != "deopt"]
    return {node.name: f"{ast.get_source_segment(source, node)}\n" for node in functions}


PRELUDE: Mapping[str, str] = _prelude()
"""Functions of generated bodies by name, as source, in the order of their definition."""

_OWN: Mapping[str, object] = {"str": str, "int": int, "float": float, "len": len, "sum": sum, "min": min, "max": max}

FUNCTIONS = cast("Mapping[str, Callable[..., Value]]", {**{name: vars(prelude)[name] for name in PRELUDE}, **_OWN})
"""The functions of the prelude, and the few of Python's own, as terms compute with them."""
