"""Further wordings of a kind: a request with other words whose trace a known plan explains completely."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import TypeAlias

from seglam_agents.compilers.traces.clocks import CLOCK
from seglam_agents.compilers.traces.plan import Diverged, Invoke, Loop, Node, answers_of, calls_of, follow
from seglam_agents.compilers.traces.terms import Term, Unknown
from seglam_agents.compilers.traces.wording import Token, sensitive, tokens, words
from seglam_agents.guards.slots.letters import stop_words
from seglam_agents.guards.wordings import opposites
from seglam_agents.records.record import Json
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.records.values import Value, encode

MAX_WORDS = 6
MAX_BINDINGS = 4_000
"""Ways of finding the arguments in a text that are tried."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Where the arguments of a plan stand in a text."""

    text: str
    spans: tuple[tuple[str, int, int], ...]
    """Name, start, end; in order of the text."""
    arguments: Mapping[str, Value]

    @property
    def literals(self) -> tuple[str, ...]:
        """The text between the arguments."""
        edges = [0, *(edge for _, start, end in self.spans for edge in (start, end)), len(self.text)]
        return tuple(self.text[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2))


def bind(
    trace: Trace,
    plan: Node,
    kinds: Mapping[str, str | None],
    spoken: Sequence[str],
    now: Value,
    reads: frozenset[str] = frozenset(),
) -> tuple[Binding, tuple[ToolStep, ...]] | None:
    """Return how a trace's request binds the arguments of a plan that explains the trace, if in exactly one way.

    With it come the steps of the trace in the plan's order.

    Args:
        trace: the run.
        plan: what a body does.
        kinds: the arguments by name, with the slot type that reads each; None for words.
        spoken: the literal words of a wording that the plan answers.
        now: the clock of the trace, where the plan has one.
        reads: the tools that change nothing.
    """
    text = trace.request.text
    found: dict[str, tuple[Binding, tuple[ToolStep, ...]]] = {}
    for binding in _bindings(text, _choices(trace, plan, kinds, now)):
        view = {**binding.arguments, **({} if now is None else {"now": now})}
        if (steps := _explained(plan, view, trace, reads)) is None:
            continue
        binding = replace(binding, spans=tuple(_with_mentions(text, binding.spans)))
        if _may_say(binding, spoken, _beyond(trace, plan)):
            found[repr(sorted(binding.spans))] = (binding, steps)
        if len(found) > 1:
            return None
    return next(iter(found.values()), None)


def may_differ(one: Sequence[str], other: Sequence[str], said: frozenset[str]) -> bool:
    """Tell whether two lists of words may say the same.

    They do not where a denial, a comparison, a number or an opposite is in one alone, or a word that data knows.
    """
    if sensitive(one) != sensitive(other) or _numbers(one) != _numbers(other):
        return False
    new, old = set(one) - _forms(other), set(other) - set(one)
    if any(opposite in old for word in new for opposite in opposites(word)):
        return False
    return not any(_stem(word) in said for word in new if len(word) > 2 and word not in _LIGHT)


def _numbers(spoken: Sequence[str]) -> list[str]:
    """Return the words with digits, and what slot types read: days, weekdays, amounts."""
    return sorted(word for word in spoken if word[:1] == "<" or any(character.isdigit() for character in word))


def literal_words(binding: Binding) -> list[str]:
    """Return what a wording spells out in lower case: words, marks, and what slot types read with its type."""
    return [
        token.key if token.kind is None else f"{token.key} {literal[token.start : token.end].casefold()}"
        for literal in binding.literals
        for token in tokens(literal)
    ]


def _forms(spoken: Sequence[str]) -> set[str]:
    """Return words with their regular forms: who says "assign" says what "assigned" says."""
    endings = ("", "s", "es", "d", "ed", "ing")
    return {form for word in spoken for ending in endings for form in (word + ending, word.removesuffix(ending))}


def say_the_same(one: str, other: str, said: frozenset[str]) -> bool:
    """Tell whether two texts may stand at a place that nothing depends on."""
    left, right = (literal_words(Binding(text, (), {})) for text in (one, other))
    return left == right or (may_differ(left, right, said) and may_differ(right, left, said))


def said_in(traces: Sequence[Trace]) -> frozenset[str]:
    """Return the stems of all words that tools were asked for, or found: a request that has one may select by it."""
    told = {stem for trace in traces for stem in _stems(trace.calls)}
    if any(trace.answer != traces[0].answer for trace in traces):  # One answer to all tells nothing about any.
        told |= {_stem(word) for trace in traces for word in _words_of(trace.answer)}
    return frozenset(told)


def _beyond(trace: Trace, plan: Node) -> frozenset[str]:
    """Return the same for one trace without what a plan always asks for: a word for that asks for nothing else.

    "Change the name" says why the field is always event_name. It may say more where something found is called so, and
    nothing more where only the key of a row is.
    """
    fixed = _fixed(plan)
    open_ = {
        _stem(word)
        for step in trace.calls
        for name, value in step.arguments.items()
        if (step.tool, name) not in fixed
        for word in _words_of(value)
    }
    results = [step.result for step in trace.calls if not isinstance(step.result, str)]
    found = {_stem(word) for result in results for word in _words_of(result)}
    told = {_stem(word) for values in fixed.values() for value in values for word in _words_of(value)}
    constant = all(not term.sources for term in answers_of(plan))
    answered = set[str]() if constant else {_stem(word) for word in _words_of(trace.answer)}
    return frozenset(open_ | found | answered | (_stems(trace.calls) - told))


def _fixed(plan: Node) -> dict[tuple[str, str], list[Json]]:
    """Return the arguments that a plan always gives one value of its own, by tool and name."""
    found: dict[tuple[str, str], list[Term]] = {}
    for call in calls_of(plan):
        for argument, term in call.arguments.items():
            found.setdefault((call.tool, argument), []).append(term)
    return {
        key: [encode(term({})) for term in terms]
        for key, terms in found.items()
        if not any(term.sources for term in terms)
    }


def _words_of(value: Json) -> Iterator[str]:
    """Yield the words of the texts in a value, without the keys of records."""
    match value:
        case dict():
            yield from (word for inner in value.values() for word in _words_of(inner))
        case list():
            yield from (word for inner in value for word in _words_of(inner))
        case _:
            yield from re.findall(r"[^\W_]+", str(value).casefold())


def _stems(steps: Sequence[ToolStep]) -> set[str]:
    return {_stem(word) for word in re.findall(r"[^\W_]+", _said(steps))}


def _stem(word: str) -> str:
    return word.casefold()[:5]


_LIGHT = stop_words("function", "pronoun", "opening", "verb") | words(
    "please can could would you me my your the a an to for of on in at by it is are that this want need like kindly"
    " hi hello hey thanks thank just them they make do"
)


def _said(steps: Sequence[ToolStep]) -> str:
    # What a tool says in one sentence is a report ("Event deleted."), and tells nothing about what was asked for.
    found = [step.result for step in steps if not isinstance(step.result, str)]
    return " ".join([*(str(step.arguments) for step in steps), *map(str, found)]).casefold()


def _explained(
    plan: Node, view: Mapping[str, Value], trace: Trace, reads: frozenset[str]
) -> tuple[ToolStep, ...] | None:
    try:
        return follow(plan, view, trace.calls, trace.answer, reads)  # pyright: ignore[reportArgumentType]  # JSON is a Value
    except Diverged:
        return None


def _may_say(binding: Binding, spoken: Sequence[str], known: frozenset[str]) -> bool:
    return may_differ(_without_marks(literal_words(binding)), _without_marks(spoken), known)


def _without_marks(spoken: Sequence[str]) -> list[str]:
    return [word for word in spoken if any(character.isalnum() for character in word)]


_Choice: TypeAlias = tuple[str, int, int, Value]


def _choices(trace: Trace, plan: Node, kinds: Mapping[str, str | None], now: Value) -> list[list[_Choice]]:
    """Return for each argument the spans of a text that may be it, as far as the calls of the trace have them."""
    text, said = trace.request.text, _said(trace.calls)
    row = tokens(text)
    return [
        [
            (name, *span)
            for span in _spans(text, row, kind, said)
            if all(_given(term, {name: span[2], "now": now}, values) for term, values in _direct(plan, name, trace))
        ]
        for name, kind in kinds.items()
    ]


def _direct(plan: Node, name: str, trace: Trace) -> list[tuple[Term, list[Json]]]:
    """Return what every run of a plan makes of an argument alone, and the values that the trace has there."""
    found: list[tuple[Term, list[Json]]] = []
    while isinstance(plan, (Invoke, Loop)):
        if isinstance(plan, Invoke):
            tool = plan.call.tool
            for argument, term in plan.call.arguments.items():
                if name in term.sources and term.sources <= {name, "now"}:
                    found.append((term, [s.arguments.get(argument) for s in trace.calls if s.tool == tool]))
        plan = plan.then
    return found


def _given(term: Term, view: Mapping[str, Value], values: Sequence[Json]) -> bool:
    try:
        return encode(term(view)) in values
    except Unknown:
        return False


def _bindings(text: str, choices: Sequence[Sequence[_Choice]]) -> Iterator[Binding]:
    for count, chosen in enumerate(product(*choices)):
        if count >= MAX_BINDINGS:
            return
        ordered = sorted(chosen, key=lambda part: part[1])
        if all(left[2] <= right[1] for left, right in pairwise(ordered)):
            arguments = {name: value for name, _, _, value in chosen}
            spans = [(name, start, end) for name, start, end, _ in ordered]
            yield Binding(text, tuple(spans), arguments)


def _with_mentions(text: str, spans: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Add the further places where the words of an argument stand again."""
    found = list(spans)
    for name, start, end in spans:
        for match in re.finditer(rf"(?<!\w){re.escape(text[start:end])}(?!\w)", text, re.IGNORECASE):
            if all(match.end() <= first or last <= match.start() for _, first, last in found):
                found.append((name, match.start(), match.end()))
    return sorted(found, key=lambda span: span[1])


def _spans(text: str, row: Sequence[Token], kind: str | None, said: str) -> list[tuple[int, int, Value]]:
    if kind is not None:
        return [(token.start, token.end, token.value) for token in row if token.kind == kind]
    found: list[tuple[int, int, Value]] = []
    for first in range(len(row)):
        for last in range(first, min(first + MAX_WORDS, len(row))):
            part = row[first : last + 1]
            written = text[part[0].start : part[-1].end]
            if part[0].key.isalnum() and part[-1].key.isalnum() and _known(written, said):
                found.append((part[0].start, part[-1].end, written))
    return found


def _known(written: str, said: str) -> bool:
    """Tell whether tools were asked or said something like these words."""
    folded = written.casefold()
    if folded in _LIGHT or sensitive(folded.split()):
        return False
    return (
        CLOCK.fullmatch(folded) is not None
        or folded in said
        or "_".join(folded.split()) in said
        or any(len(word) > 3 and word[:4] in said for word in folded.split() if word not in _LIGHT)
    )
