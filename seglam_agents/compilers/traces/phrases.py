"""Further wordings of a kind: a request with other words whose trace a known plan explains completely."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from seglam_agents.compilers.traces.plan import Diverged, Node, follow
from seglam_agents.compilers.traces.wording import Token, sensitive, tokens, words
from seglam_agents.guards.slots.letters import stop_words
from seglam_agents.guards.wordings import opposites
from seglam_agents.trace import ToolStep, Trace
from seglam_agents.values import Value

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
    trace: Trace, plan: Node, kinds: Mapping[str, str | None], spoken: Sequence[str], now: Value
) -> Binding | None:
    """Return how a trace's request binds the arguments of a plan that explains the trace, if in exactly one way.

    Args:
        trace: the run.
        plan: what a body does.
        kinds: the arguments by name, with the slot type that reads each; None for words.
        spoken: the literal words of a wording that the plan answers.
        now: the clock of the trace, where the plan has one.
    """
    text = trace.request.text
    found: dict[str, Binding] = {}
    for binding in _bindings(text, kinds, _said(trace.calls)):
        view = {**binding.arguments, **({} if now is None else {"now": now})}
        if _explains(plan, view, trace) and _may_say(binding, spoken, trace):
            found[repr(sorted(binding.spans))] = binding
        if len(found) > 1:
            return None
    return next(iter(found.values()), None)


def may_differ(one: Sequence[str], other: Sequence[str], said: frozenset[str]) -> bool:
    """Tell whether two lists of words may say the same: no denial, comparison, opposite, or word that data knows."""
    if sensitive(one) != sensitive(other):
        return False
    new, old = set(one) - set(other), set(other) - set(one)
    if any(opposite in old for word in new for opposite in opposites(word)):
        return False
    return not any(_stem(word) in said for word in new if len(word) > 2 and word not in _LIGHT)


def say_the_same(one: str, other: str, said: frozenset[str]) -> bool:
    """Tell whether two texts may stand at a place that nothing depends on."""
    left, right = ([token.key for token in tokens(text)] for text in (one, other))
    return left == right or (may_differ(left, right, said) and may_differ(right, left, said))


def said_in(traces: Sequence[Trace]) -> frozenset[str]:
    """Return the stems of all words that tools were asked for, or found: a request that has one may select by it."""
    return frozenset(_stem(word) for trace in traces for word in re.findall(r"[^\W_]+", _said(trace.calls)))


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


def _explains(plan: Node, view: Mapping[str, Value], trace: Trace) -> bool:
    try:
        return follow(plan, view, trace.calls, trace.answer)  # pyright: ignore[reportArgumentType]  # JSON is a Value
    except Diverged:
        return False


def _may_say(binding: Binding, spoken: Sequence[str], trace: Trace) -> bool:
    said = [token.key for literal in binding.literals for token in tokens(literal)]
    return may_differ(
        [word for word in said if word.isalpha()], [word for word in spoken if word.isalpha()], said_in([trace])
    )


def _bindings(text: str, kinds: Mapping[str, str | None], said: str) -> Iterator[Binding]:
    row = tokens(text)
    choices = [[(name, *span) for span in _spans(text, row, kind, said)] for name, kind in kinds.items()]
    for count, chosen in enumerate(product(*choices)):
        if count >= MAX_BINDINGS:
            return
        ordered = sorted(chosen, key=lambda part: part[1])
        if all(left[2] <= right[1] for left, right in pairwise(ordered)):
            arguments = {name: value for name, _, _, value in chosen}
            spans = [(name, start, end) for name, start, end, _ in ordered]
            yield Binding(text, tuple(_with_mentions(text, spans)), arguments)


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
        folded in said
        or "_".join(folded.split()) in said
        or any(len(word) > 3 and word[:4] in said for word in folded.split() if word not in _LIGHT)
    )
