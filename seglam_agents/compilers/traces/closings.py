"""The closing of a run: its facts, which must be explained, and its phrasing, which is a matter of taste.

Two closings claim the same where their content words are the same once facts and function words are left out: "No, it
is 9 degrees." and "No: 9 degrees." do, "No, it is 9 degrees." and "Yes, it is 9 degrees." do not. Words that say
something else are a decision of the run, to be explained like a branch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from seglam_agents.records.record import Json, leaves
from seglam_agents.records.trace import ToolStep
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


_POLAR = re.compile(
    r"yes|no|not|none|never|nothing|nobody|neither|nor|cannot|\w+n['’]t|without|unless|except|but|however|although|though"
    r"|only|already|still|yet|too|enough|unable|fail\w*|error\w*|sorry|unfortunately|instead|partly|partially|some|least"
    r"|ok(ay)?|fine|warn\w*|over|above|under|below|more|less|fewer|may|might|must|should|need\w*|please|\w+\?",
    re.IGNORECASE,
)
"""Words that refuse, except or judge: a closing with one of them claims something of its own."""
_DONE = frozenset(("done", "all", "sent", "noted", "moved", "set", "made", "updated", "changed", "created", "saved"))
"""Words that say that what was asked for is done."""
STEM_SHARED = 4
"""Letters that two words have to share to be forms of one."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a closing tells of.

    Args:
        asked: the request.
        calls: the calls of the run with their results.
        reads: the tools that change nothing.
    """

    asked: str
    calls: tuple[ToolStep, ...]
    reads: frozenset[str] = frozenset()

    @property
    def wrote(self) -> bool:
        """Whether something was changed."""
        return any(step.tool not in self.reads for step in self.calls)

    def restates(self, ours: Json, theirs: Json) -> bool:
        """Tell whether two closings of one run say the same facts, and nothing else."""
        if not (isinstance(ours, str) and isinstance(theirs, str)) or judges(ours) or judges(theirs):
            return False
        facts = self._facts(ours), self._facts(theirs)
        if not (_nested(*facts) if self.wrote else facts[0] and facts[0] == facts[1]):
            return False
        said = self._words()
        plain = self._plain(ours, said), self._plain(theirs, said)
        return all(plain) if self.wrote else any(plain)

    def agree(self, ours: Json, theirs: Json) -> bool:
        """Tell whether two closings of one run say the same facts, whatever their words; after a write, or fewer."""
        if not (isinstance(ours, str) and isinstance(theirs, str)):
            return False
        facts = self._facts(ours), self._facts(theirs)
        return facts[0] == facts[1] or (self.wrote and _nested(*facts))

    def repeats(self, ours: Json, theirs: Json) -> bool:
        """Tell whether two closings of one run say the same facts in other words, without any that judge."""
        if not (isinstance(ours, str) and isinstance(theirs, str)) or judges(ours) or judges(theirs):
            return False
        facts = self._facts(ours)
        return bool(facts) and facts == self._facts(theirs)

    def _facts(self, text: str) -> Counter[str]:
        """Return how often a text says each number and each value of results that the request does not say."""
        asked = set(_TOKEN.findall(self.asked.casefold()))
        values = {
            str(leaf) for step in self.calls for leaf in leaves(step.result) if leaf not in (None, "", True, False)
        }
        found = {value for value in values if len(value) <= MAX_FACT and _mentions(text, value)}
        longest = {value for value in found if not any(value != other and value in other for other in found)}
        numbers = Counter(
            n.replace(",", "").rstrip("0").rstrip(".") if "." in n else n.replace(",", "")
            for n in _FIGURE.findall(text)
        )
        told = Counter({value.casefold(): _mentions(text, value) for value in longest}) | numbers
        return Counter({value: times for value, times in told.items() if not set(_TOKEN.findall(value)) <= asked})

    def _plain(self, text: str, said: frozenset[str]) -> bool:
        """Tell whether a closing has no other words than those of the request, the calls and the keys of results."""
        values = [self.asked, *(step.arguments for step in self.calls), *(step.result for step in self.calls)]
        found = re.findall(r"[^\W\d_]+", phrasing(text, [*values, *self.asked.split()]).casefold())
        return all(word in _FUNCTION or word in _DONE or is_form(word, said) for word in found)

    def _words(self) -> frozenset[str]:
        calls = (part for step in self.calls for part in (step.tool, *step.arguments, *keys_of(step.result)))
        named = " ".join(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", part) for part in calls)
        return frozenset(re.findall(r"[^\W\d_]+", f"{self.asked} {named}".casefold()))


def _nested(one: Counter[str], other: Counter[str]) -> bool:
    return one <= other or other <= one


def judges(answer: Json) -> bool:
    """Tell whether an answer refuses, excepts or judges: another day it may say the contrary."""
    return isinstance(answer, bool) or (
        isinstance(answer, str) and any(_POLAR.fullmatch(word) for word in re.findall(r"[\w'’]+\??", answer))
    )


_FIGURE = re.compile(r"(?<![\w.])(?<!\w-)-?\d[\d,]*(?:\.\d+)?(?!\w)")


def _mentions(text: str, value: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(value)}(?!\w)", text)) if value in text else 0


def keys_of(document: Json) -> Iterator[str]:
    """Yield the keys of a result; of a list, those of its first element."""
    if isinstance(document, dict):
        for key, inner in document.items():
            yield key
            yield from keys_of(inner)
    elif isinstance(document, list):
        for inner in document[:1]:
            yield from keys_of(inner)


def is_form(word: str, said: Iterable[str]) -> bool:
    """Tell whether a word, or another form of it, was said."""
    return word in said or any(
        len(word) >= STEM_SHARED and other[:STEM_SHARED] == word[:STEM_SHARED] and _endings(word, other)
        for other in said
    )


def _endings(word: str, other: str) -> bool:
    """Tell whether two words differ in their endings alone."""
    shared = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    return len(word) - shared <= 3 and len(other) - shared <= 3


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


def likeness(said: Json, run: Json, told: Told | None = None) -> Likeness:
    """Tell whether two closings claim the same: in the same words, or with the same facts in other ones.

    Args:
        said: one of them.
        run: the other.
        told: what they tell of.
    """
    if same(said, run) or (told and told.restates(said, run)):
        return "same"
    if not (isinstance(said, str) and isinstance(run, str)):
        return "differs"
    ours, theirs = claim(said), claim(run)
    numbers = [frozenset(fact for fact in each.facts if re.search(r"\d", fact)) for each in (ours, theirs)]
    if not (numbers[0] <= numbers[1] or numbers[1] <= numbers[0]) or (bool(numbers[0]) != bool(numbers[1])):
        return "differs"
    nested = ours.facts <= theirs.facts or theirs.facts <= ours.facts
    alike = nested and told.agree(said, run) if told else nested
    return "same" if ours.words == theirs.words and alike else "unclear"
