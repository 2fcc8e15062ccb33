"""The guard of a kind: its wordings as templates, with slots no wider than what the traces support."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from seglam_agents.compilers.traces.clocks import hulls_of, spellings
from seglam_agents.compilers.traces.phrases import Binding, said_in, say_the_same
from seglam_agents.compilers.traces.plan import Node, calls_of, terms_of
from seglam_agents.compilers.traces.terms import Term, Unknown
from seglam_agents.guards.slots.exports import parse_text
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import Trace

OPEN_KINDS = ("person", "name", "phrase", "title")
"""Slot types of words that nobody listed, narrowest first."""
OPEN_VALUES = 3
"""Different words that must have been seen at a place before words that were not seen may stand there."""


@dataclass(frozen=True, slots=True)
class Argument:
    """What varies between requests: its slot type (None for words), and whether the plan looks at it."""

    name: str
    kind: str | None
    used: bool


class Unguarded(SeglamError):
    """No guard is safe for these requests; says why."""


def slots_of(
    texts: Sequence[tuple[Binding, Trace]],
    arguments: Sequence[Argument],
    plan: Node,
    tools: Mapping[str, Tool],
    writes: frozenset[str],
    *,
    closed: bool = False,
) -> dict[str, str]:
    """Return the slot type of each argument that a plan looks at; where closed, words are those seen.

    Raises:
        Unguarded: something varies that nothing explains, or no slot type reads what was seen.
    """
    slots: dict[str, str] = {}
    for argument in arguments:
        seen = [_raw(binding, argument.name) for binding, _ in texts]
        if argument.used:
            clock = _clock(argument.name, plan)
            slots[argument.name] = clock or argument.kind or _words(argument.name, seen, plan, tools, writes, closed)
        else:
            _check_unused(argument, seen, [trace for _, trace in texts])
    return slots


def templates_of(bindings: Sequence[Binding], slots: Mapping[str, str]) -> list[str]:
    """Return the wordings as templates."""
    return list(dict.fromkeys(_template(binding, slots) for binding in bindings))


def _raw(binding: Binding, name: str) -> str:
    start, end = next((start, end) for other, start, end in binding.spans if other == name)
    return binding.text[start:end]


def _check_unused(argument: Argument, seen: Sequence[str], traces: Sequence[Trace]) -> None:
    """Words that nothing depends on may differ as seen, never further."""
    shown = ", ".join(repr(text) for text in dict.fromkeys(seen))[:200]
    if argument.kind is not None:
        raise Unguarded(f"nothing says what {shown} is for: a trace where it makes a difference is needed")
    said = said_in(traces)
    if not all(say_the_same(one, other, said) for one, other in combinations(dict.fromkeys(seen), 2)):
        raise Unguarded(f"nothing says what {shown} is for, and these words may not mean the same")


def _words(
    name: str, seen: Sequence[str], plan: Node, tools: Mapping[str, Tool], writes: frozenset[str], closed: bool
) -> str:
    distinct = list({text.casefold(): text for text in reversed(seen)}.values())[::-1]
    if listed := _listed(name, plan):
        known = {text.lower() for text in distinct}
        return _choice([*distinct, *(word for word in listed if word not in known)])
    if closed or _decides(name, plan):
        return _choice(distinct)
    enumerated = _enumerated(name, plan, tools)
    if enumerated:
        known = {text.casefold() for text in distinct}
        return _choice([*distinct, *(word for word in enumerated if word.casefold() not in known)])
    enough = len(distinct) >= OPEN_VALUES and len(distinct) * 2 > len(seen)
    if enough or (len(distinct) >= 2 and not _written(name, plan, writes)):
        for kind in OPEN_KINDS:
            if all(parse_text(kind, text) is not None for text in seen):
                return kind
    return _choice(distinct)


def _choice(options: Sequence[str]) -> str:
    if any(character in option for option in options for character in "()|{}[]\\"):
        raise Unguarded(f"no slot type reads {', '.join(map(repr, options[:3]))}")
    return f"choice({'|'.join(options)})"


def _clock(name: str, plan: Node) -> str | None:
    """Return a slot type for the times of day whose half of the day the plan knows."""
    found = [hulls for term in terms_of(plan) if (hulls := hulls_of(term, name))]
    return _choice(spellings(*found[0])) if found else None


def _listed(name: str, plan: Node) -> list[str]:
    """Return the words that a dictionary of the plan knows at a place."""
    for term in terms_of(plan):
        match = re.search(rf"(\{{[^{{}}]*\}})\[{name}\.lower\(\)\]", term.code)
        if match:
            return [str(key) for key in ast.literal_eval(match[1])]
    return []


def _decides(name: str, plan: Node) -> bool:
    """Tell whether the plan goes different ways for different words."""
    return any(re.search(rf"\b{name} (==|in) ", term.code) for term in terms_of(plan))


def _enumerated(name: str, plan: Node, tools: Mapping[str, Tool]) -> list[str]:
    """Return the words that a closed set of a tool's schema allows at a place."""
    found: list[str] = []
    for call in calls_of(plan):
        tool = tools.get(call.tool)
        for argument, term in call.arguments.items():
            if tool and term.sources == frozenset((name,)):
                allowed = (value for value in tool.choices(argument) if isinstance(value, str))
                found += [word for value in allowed for word in _spellings(name, term, value)]
    return list(dict.fromkeys(found))


def _spellings(name: str, term: Term, value: str) -> list[str]:
    found: list[str] = []
    for spelling in (" ".join(value.casefold().split("_")), value.casefold()):
        try:
            if term({name: spelling}) == value:
                found.append(spelling)
        except Unknown:
            continue
    return found[:1]


def _written(name: str, plan: Node, writes: frozenset[str]) -> bool:
    """Tell whether the words go into something that is changed as they stand."""
    return any(
        name in term.sources and term.family in ("request", "computed")
        for call in calls_of(plan)
        if call.tool in writes
        for term in call.arguments.values()
    )


def _template(binding: Binding, slots: Mapping[str, str]) -> str:
    parts = [_literal(binding.literals[0])]
    known: set[str] = set()
    for (name, start, end), literal in zip(binding.spans, binding.literals[1:], strict=True):
        mention = f"{{{name}}}" if name in known else f"{{{name}:{slots.get(name)}}}"
        parts += [mention if name in slots else _literal(binding.text[start:end]), _literal(literal)]
        known.add(name)
    return "".join(parts).strip()


def _literal(text: str) -> str:
    return "".join(f"\\{character}" if character in "()[]{}|\\" else character for character in text)
