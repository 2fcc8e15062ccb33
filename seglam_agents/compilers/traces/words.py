"""The words of a request that a plan does nothing about: each may ask for something that no run has shown yet.

"Count the *big* bookings", where all bookings of the runs were big, is explained as a count of all. A word is accounted
for where tools, their arguments, their results or the answer say it too, or where it asks for a selection that the plan
makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from seglam_agents.compilers.traces.closings import is_form, keys_of
from seglam_agents.compilers.traces.plan import Node, terms_of
from seglam_agents.compilers.traces.wish import COMPARED, EXCEPTED, EXCEPTING, SELECTING, TIMED, compares
from seglam_agents.records.record import Json
from seglam_agents.records.trace import ToolStep, Trace

_ASKING = frozenset(
    ("how", "many", "much", "what", "what's", "which", "who", "whose", "where", "when", "tell", "give", "show", "list")
).union(
    (
        "find",
        "get",
        "look",
        "name",
        "there",
        "have",
        "got",
        "and",
        "that",
        "to",
        "in",
        "on",
        "at",
        "by",
        "with",
        "from",
    ),
    ("its", "his", "her", "their", "we", "us", "our"),
    ("all", "every", "each", "everybody", "everyone", "describe", "report", "display"),
    ("belong", "belongs", "belonging", "own", "owns", "owned", "hold", "holds", "had", "exist", "exists"),
)
"""Words that ask, that join, that say whose, that leave nothing out, and that point to what was named.

Requests do not differ by them, and none of them asks for a limit.
"""


def unaccounted(words: Iterable[str], plan: Node, runs: Iterable[Trace]) -> set[str]:
    """Return the words that nothing of the runs says, and that no selection of the plan is about.

    Args:
        words: those of the requests beside the places.
        plan: what is done about them.
        runs: where they come from.
    """
    made = _made(plan)
    sided = any(_uses(plan, function) for function in COMPARED)
    return {word for word in strange(words, runs) - made if not (sided and compares(word))}


def unsettled(words: Iterable[str], plan: Node, runs: Sequence[Trace]) -> set[str]:
    """Return the words that may ask for something else than what is done, whatever results and answers say.

    That an answer says "big" shows no limit. Here only what is called, keys, and choices of the plan account for a
    word: a value of a result does where the plan asks for it.
    """
    chosen = {word for term in terms_of(plan) for text in _QUOTED.findall(term.code) for word in _words(text)}
    known = chosen | _made(plan) | {word for run in runs for step in run.calls for word in _named(step)}
    sided = any(_uses(plan, function) for function in COMPARED)
    left = (word for word in words if word.isalnum() and word not in _ASKING)
    return {word for word in left if not (is_form(word, known) or (sided and compares(word)))}


def strange(words: Iterable[str], runs: Iterable[Trace]) -> set[str]:
    """Return the words that no tool, argument, result or answer of the runs says."""
    said = {word for run in runs for word in _said_in(run)}
    return {word for word in words if word.isalnum() and not (word in _ASKING or is_form(word, said))}


def _made(plan: Node) -> set[str]:
    """Return the words that ask for a selection which a plan makes."""
    made = {word for function, asked in SELECTING.items() if _uses(plan, function) for word in asked}
    if any("now" in term.sources for term in terms_of(plan)):
        made |= TIMED
    return made | EXCEPTING if any(_uses(plan, function) for function in EXCEPTED) else made


def _uses(plan: Node, function: str) -> bool:
    return any(f"{function}(" in term.code for term in terms_of(plan))


def _said_in(run: Trace) -> Iterator[str]:
    yield from _words(run.answer)
    for step in run.calls:
        yield from _words(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", step.tool))
        yield from _words(step.arguments)
        yield from _words(step.result)


def _named(step: ToolStep) -> Iterator[str]:
    """Yield the words of a call, and of the keys of its result."""
    yield from _words(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", step.tool))
    yield from _words(step.arguments)
    yield from (word for key in keys_of(step.result) for word in _words(key))


def _words(document: Json) -> Iterator[str]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _words(key)
            yield from _words(value)
    elif isinstance(document, list):
        for value in document[:20]:
            yield from _words(value)
    elif isinstance(document, str):
        yield from re.findall(r"[^\W\d_]+", document.casefold())


def heads(literals: Iterable[str]) -> set[str]:
    """Return the words that name what an end of is asked for: "contract" of "the earliest contract", and no more.

    A word before such a name may limit it; the name itself does not.
    """
    found: set[str] = set()
    for literal in literals:
        for phrase in _PHRASE.split(literal.casefold()):
            words = re.findall(r"[^\W\d_]+", phrase)
            if len(words) > 1 and words[-2] in _ENDING:
                found.add(words[-1])
    return found


_PHRASE = re.compile(
    r"[^\w\s'’]+|\b(?:of|for|in|on|at|by|with|to|from|does|do|is|are|has|have|should|please|and|over|under)\b"
)
_ENDING = frozenset(word for end in ("first", "last", "lowest", "highest") for word in SELECTING[end])
_QUOTED = re.compile(r"'([^']*)'")


def found_in(traces: Iterable[Trace]) -> frozenset[str]:
    """Return the words of all texts that results hold, but those that only join."""
    return frozenset(word for trace in traces for step in trace.calls for word in _texts(step.result)) - _ASKING


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield from re.findall(r"\w+", value.casefold())
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
