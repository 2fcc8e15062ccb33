"""`Reading`: a request with its places: what a slot type reads, and what the run's own calls and results repeat.

A span is a range of whole tokens of the normalised text, so that a place never begins or ends inside a word or a
number. Where two spans overlap, the longer one is the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from seglam_agents.guards.normal import NormalText, asks, linear, normalise
from seglam_agents.guards.slots import slot
from seglam_agents.records.record import Json, digest, leaves
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.records.values import Value

WORDS = "words"
"""The kind of a place that no slot type reads by its shape."""
TYPES = (
    "quoted",
    "url",
    "email",
    "date",
    "monthday",
    "duration",
    "time",
    "money",
    "percent",
    "quantity",
    "weekday",
    "number",
    "id",
)
"""Slot types that a shape is enough for; of two that read the same span the first one does."""
MAX_WORDS = 8
"""Tokens of a place for words."""
MAX_LEAVES = 4_000
"""Texts of a run that are looked for in its request."""

_TOKEN = re.compile(r"[^\s,;!?()\[\]{}\"]+")
_CONTENT = re.compile(r"[^\W_]+(?:['’][^\W_]+)?|[^\w\s,.;:!?'\"]+")
_OWNED = re.compile(r"^['’]s\b")
"""What is behind a place that owns something: no more than "of"."""
_POLITE = frozenset(
    ("a", "an", "the", "of", "for", "please", "thanks", "thank", "you", "can", "could", "would", "kindly", "my", "me")
) | frozenset(("i", "it", "is", "are", "do", "does", "has"))
"""Articles and polite words: two wishes do not differ by them."""
_EDGE = ".:'’"
_QUOTED = re.compile(r"'((?:[^']|'')+)'|\"([^\"]+)\"")


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a request."""

    start: int
    end: int
    kind: str
    """A slot type, or `words`."""
    value: Value
    text: str
    """As it was written."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A request as literal texts and places in turn."""

    text: str
    places: tuple[Place, ...]
    literals: tuple[str, ...]
    asks: bool = False
    """Whether it ends in a question mark."""

    @property
    def key(self) -> str:
        """A hash of its skeleton: the literal texts without case, and the kinds of the places between them."""
        return digest([" ".join(text.casefold().split()) for text in self.literals], [p.kind for p in self.places])

    @property
    def content(self) -> frozenset[str]:
        """Its words beside the places, without articles and polite ones: what two wordings of one wish share."""
        words = (word for text in self.literals for word in _CONTENT.findall(_OWNED.sub("", text.casefold())))
        return frozenset(word for word in words if word not in _POLITE)


def readings(trace: Trace) -> list[Reading]:
    """Read the request of a run: by what its calls repeat, and where results repeat more, by that too."""
    text = normalise(trace.request.text)
    tokens = _tokens(text.text)
    said = _Said(trace.calls, None if isinstance(trace.answer, str) else trace.answer)
    typed = list(_typed(text, tokens, said))
    names = list(_names(text, tokens))
    given = list(_repeated(text, tokens, said.given()))
    found = list(_repeated(text, tokens, said.found()))
    narrow = _reading(text, [*typed, *_joined([*given, *names], text)], trace)
    wide = _reading(text, [*typed, *_joined([*given, *found, *names], text)], trace)
    return [narrow] if narrow.key == wide.key else [narrow, wide]


def _reading(text: NormalText, places: Sequence[Place], trace: Trace) -> Reading:
    chosen = _disjoint(places)
    return Reading(text.text, tuple(chosen), tuple(_literals(text.text, chosen)), asks(trace.request.text))


@dataclass(frozen=True, slots=True)
class _Said:
    """What the calls and results of a run say, and an answer that is no sentence but data."""

    calls: Sequence[ToolStep]
    answer: Json = None

    def given(self) -> Iterator[str]:
        """Yield the texts of arguments and of an answer that is data, with what stands in quotes in them."""
        for document in (*(step.arguments for step in self.calls), self.answer):
            for leaf in leaves(document):
                if isinstance(leaf, str):
                    yield leaf
                    yield from _within(leaf)

    def found(self) -> Iterator[str]:
        """Yield the texts of results."""
        for step in self.calls:
            yield from (leaf for leaf in leaves(step.result) if isinstance(leaf, str))

    def spells(self, text: str) -> bool:
        """Tell whether a number is given to a tool as a text, digit by digit."""
        return any(leaf == text for step in self.calls for leaf in leaves(step.arguments) if isinstance(leaf, str))


def _within(text: str) -> Iterator[str]:
    """Yield what an argument holds in quotes: a value of a statement, a pattern without its wildcards."""
    for match in _QUOTED.finditer(text):
        inner = (match[1] or match[2] or "").replace("''", "'")
        yield inner
        if (bare := inner.strip("%")) != inner:
            yield bare
    if "_" in text:
        yield text.replace("_", " ")


def _tokens(text: str) -> list[tuple[int, int]]:
    """Return where tokens begin and end: words and numbers without the punctuation around them."""
    found: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        while end > start and text[end - 1] in _EDGE:
            end -= 1
        while start < end and text[start] in "'’":
            start += 1
        if text[start:end].endswith(("'s", "’s")):
            end -= 2
        if start < end:
            found.append((start, end))
    return found


def _typed(text: NormalText, tokens: Sequence[tuple[int, int]], said: _Said) -> Iterator[Place]:
    starts, ends = {start for start, _ in tokens}, {end for _, end in tokens}
    for name in TYPES:
        kind = slot(name)
        position = 0
        while match := linear(kind.pattern).search(text.text, position):
            start, end = match.span()
            whole = name == "quoted" or (start in starts and end in ends)
            place = _typed_place(text, start, end, name, said) if whole else None
            position = end if place else _next(tokens, start, len(text.text))
            if place:
                yield place


def _typed_place(text: NormalText, start: int, end: int, name: str, said: _Said) -> Place | None:
    kind = slot(name)
    raw = text.source(start, end)
    value = kind.parse(raw if kind.verbatim else text.text[start:end])
    if value is None or (name == "weekday" and not raw[:1].isupper()):
        return None
    if name == "number" and said.spells(raw):
        return Place(start, end, "id", raw, raw)
    return Place(start, end, name, value, raw)


def _next(tokens: Sequence[tuple[int, int]], position: int, length: int) -> int:
    return next((start for start, _ in tokens if start > position), length)


def _repeated(text: NormalText, tokens: Sequence[tuple[int, int]], said: Iterable[str]) -> Iterator[Place]:
    """Yield the words that a call or a result of the run repeats as a whole text."""
    grams = _grams(text.text, tokens)
    for number, leaf in enumerate(said):
        if number >= MAX_LEAVES:
            return
        span = grams.get(_folded(leaf)) if 0 < len(leaf) <= 200 else None
        if span:
            yield _words(text, *span)


def _grams(text: str, tokens: Sequence[tuple[int, int]]) -> Mapping[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for first, (start, _) in enumerate(tokens):
        for _, end in tokens[first : first + MAX_WORDS]:
            gram = _folded(text[start:end])
            if any(character.isalpha() for character in gram):
                found.setdefault(gram, (start, end))
    return found


@lru_cache(maxsize=50_000)
def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _names(text: NormalText, tokens: Sequence[tuple[int, int]]) -> Iterator[Place]:
    """Yield capitalised words within a sentence: a slot type reads them."""
    for index, (start, end) in enumerate(tokens):
        word = text.text[start:end]
        begins = index == 0 or text.text[:start].rstrip(" \"'(")[-1:] in (".", "!", "?", ":", "")
        named = word[:1].isupper() and len(word) > 1 and word.isalpha() and word.casefold() not in _POLITE
        if named and not begins:
            yield _words(text, start, end)


def _words(text: NormalText, start: int, end: int) -> Place:
    raw = text.source(start, end)
    return Place(start, end, WORDS, raw, raw)


def _joined(places: Iterable[Place], text: NormalText) -> list[Place]:
    """Join capitalised words that stand side by side: a name is one place."""
    joined: list[Place] = []
    for place in sorted({(p.start, p.end): p for p in places}.values(), key=lambda p: (p.start, -p.end)):
        last = joined[-1] if joined else None
        if last and place.start < last.end:
            continue
        beside = last is not None and text.text[last.end : place.start] == " "
        if last and beside and _is_name(last.text) and _is_name(place.text):
            joined[-1] = _words(text, last.start, place.end)
        else:
            joined.append(place)
    return joined


def _is_name(text: str) -> bool:
    return all(part[:1].isupper() for part in text.split())


def _disjoint(places: Iterable[Place]) -> list[Place]:
    """Return places that do not overlap: longer ones first, of equal spans the first one that was found."""
    chosen: list[Place] = []
    for place in sorted(places, key=lambda place: place.start - place.end):
        if not any(place.start < other.end and other.start < place.end for other in chosen):
            chosen.append(place)
    return sorted(chosen, key=lambda place: place.start)


def _literals(text: str, places: Sequence[Place]) -> Iterator[str]:
    position = 0
    for place in places:
        yield text[position : place.start]
        position = place.end
    yield text[position:]
