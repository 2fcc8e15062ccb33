"""The closing of a run: its facts, which must be explained, and its phrasing, which is a matter of taste.

Two closings claim the same where their content words are the same once facts and function words are left out: "No, it
is 9 degrees." and "No: 9 degrees." do, "No, it is 9 degrees." and "Yes, it is 9 degrees." do not. Words that say
something else are a decision of the run, to be explained like a branch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from seglam_agents.compilers.traces.spans import leaves
from seglam_agents.records.record import Json
from seglam_agents.records.values import same

Likeness: TypeAlias = Literal["same", "differs", "unclear"]
MAX_FACT = 200
"""Letters of a fact that is looked for in a closing."""
STEM = 6
_TOKEN = re.compile(r"[^\W_]+(?:[-'’./:,@#&][^\W_]+)*|[#$€£%]")
_FUNCTION = frozenset(
    (
        "a",
        "an",
        "the",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "am",
        "it",
        "its",
        "it's",
        "this",
        "that",
        "these",
        "those",
        "of",
        "to",
        "in",
        "on",
        "at",
        "for",
        "by",
        "with",
        "and",
        "as",
        "i",
        "i've",
        "i'm",
        "i'll",
        "we",
        "we've",
        "you",
        "your",
        "my",
        "our",
        "their",
        "his",
        "her",
        "there",
        "here",
        "now",
        "just",
        "has",
        "have",
        "had",
        "do",
        "does",
        "did",
        "so",
        "from",
        "will",
        "would",
        "which",
        "who",
        "whom",
    )
)
"""Words that carry no claim."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a closing says, without its phrasing."""

    words: frozenset[str]
    """Stems of its content words."""
    facts: frozenset[str]
    """What stands in it that the run gave: numbers, names, values of results."""


def phrasing(answer: str, known: Iterable[Json]) -> str:
    """Return a closing with `_` in the place of every fact.

    Args:
        answer: the closing.
        known: what the run had seen: arguments and results.
    """
    text = answer
    seen = {str(leaf) for value in known for leaf in leaves(value) if leaf not in (None, "", True, False)}
    for leaf in sorted((leaf for leaf in seen if len(leaf) <= MAX_FACT and leaf in text), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(leaf)}(?!\w)", "_", text)
    return re.sub(r"[$€£]?\S*\d(?:\S*\w)?%?", "_", text)


def claim(answer: str, known: Iterable[Json] = ()) -> Claim:
    """Return what a closing claims; without what the run had seen, numbers and capitalised words are its facts."""
    values = list(known)
    text = phrasing(answer, values) if values else answer
    words: set[str] = set()
    facts: set[str] = set()
    for match in _TOKEN.finditer(text):
        word = match[0]
        begins = text[: match.start()].rstrip()[-1:] in ("", ".", "!", "?", ":")
        if re.search(r"\d", word) or (word[:1].isupper() and not begins and len(word) > 1):
            facts.add(word.casefold())
        elif word.casefold() not in _FUNCTION:
            words.add(word.casefold()[:STEM])
    return Claim(frozenset(words), frozenset(facts))


def likeness(said: Json, run: Json) -> Likeness:
    """Tell whether two closings claim the same: in the same words, or with the same facts in other ones."""
    if same(said, run):
        return "same"
    if not (isinstance(said, str) and isinstance(run, str)):
        return "differs"
    ours, theirs = claim(said), claim(run)
    numbers = [frozenset(fact for fact in each.facts if re.search(r"\d", fact)) for each in (ours, theirs)]
    if not (numbers[0] <= numbers[1] or numbers[1] <= numbers[0]) or (bool(numbers[0]) != bool(numbers[1])):
        return "differs"
    nested = ours.facts <= theirs.facts or theirs.facts <= ours.facts
    return "same" if ours.words == theirs.words and nested else "unclear"
