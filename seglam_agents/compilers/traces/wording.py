"""Anti-unification of request texts: what all requests of a kind spell alike, and the places where they differ.

The least general generalisation (Plotkin, A note on inductive generalization, 1970) of token sequences: tokens that a
slot type reads (dates, numbers, ...) are one token of that type, what two texts share stays literal, and what differs
between shared tokens becomes a place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from seglam_agents.guards.slots.exports import find_all, parse_text
from seglam_agents.guards.slots.letters import stop_words
from seglam_agents.records.values import Quantity, Value

MAX_PLACE_WORDS = 6
"""Words that may stand at one place of a text: more is another sentence."""
MAX_PLACES = 6
MIN_SHARED = 0.34
"""Share of a text that must be literal for two texts to be of one wording."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a mark, or a span that a slot type reads."""

    key: str
    """What tokens are compared by: the word in lower case, or the type in angle brackets."""
    start: int
    end: int
    kind: str | None = None
    value: Value = None


@dataclass(frozen=True, slots=True)
class Place:
    """A place of a wording where requests differ, with the text and the value that stood there in each of them."""

    kind: str | None
    """The slot type that reads it in every request; None for words."""
    texts: tuple[str, ...]
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Wording:
    """What several requests have in common: literal texts between places, one more of them than places."""

    texts: tuple[str, ...]
    """The requests."""
    literals: tuple[str, ...]
    places: tuple[Place, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The literal words in lower case."""
        return tuple(token.key for literal in self.literals for token in tokens(literal))


@lru_cache(maxsize=4096)
def tokens(text: str) -> tuple[Token, ...]:
    """Return the tokens of a text; a span that a slot type reads is one token."""
    spans = _typed(text)
    found: list[Token] = []
    for match in _WORD.finditer(text):
        if not any(span.start <= match.start() < span.end for span in spans):
            found.append(Token(match[0].casefold(), match.start(), match.end()))
    return tuple(sorted((*found, *spans), key=lambda token: token.start))


def common(texts: Sequence[str]) -> Wording | None:
    """Return what the texts have in common, or None where they are not of one wording."""
    rows = [_asked(tokens(text)) for text in texts]
    shared = [token.key for token in rows[0]]
    for row in rows[1:]:
        shared = _shared(shared, [token.key for token in row])
    gaps = _places(rows, shared)
    return None if gaps is None else _wording(texts, rows, gaps)


def opened(wording: Wording, phrases: Iterable[str]) -> Wording:
    """Return a wording with places where a literal text says one of some phrases, and says it once in every request.

    All requests say the same there. What the phrase stands for is known from elsewhere, and so are others for it.
    """
    for phrase in sorted(phrases, key=len, reverse=True):
        wording = _opened(wording, phrase)
    return wording


def _opened(wording: Wording, phrase: str) -> Wording:
    pattern = re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)", re.IGNORECASE)
    found = [list(pattern.finditer(text)) for text in wording.texts]
    at = [index for index, literal in enumerate(wording.literals) if pattern.search(literal)]
    if len(at) != 1 or any(len(matches) != 1 for matches in found) or len(wording.places) >= MAX_PLACES:
        return wording
    here = pattern.search(wording.literals[at[0]])
    texts = tuple(matches[0][0] for matches in found)
    if here is None or any(is_sensitive(word) for word in phrase.split()):
        return wording
    literal = wording.literals[at[0]]
    literals = (
        *wording.literals[: at[0]],
        literal[: here.start()],
        literal[here.end() :],
        *wording.literals[at[0] + 1 :],
    )
    places = (*wording.places[: at[0]], Place(None, texts, texts), *wording.places[at[0] :])
    return Wording(wording.texts, literals, places)


def is_sensitive(word: str) -> bool:
    """Tell whether a word denies, compares or orders: it is never generalised."""
    return word.casefold() in SENSITIVE


def sensitive(words: Iterable[str]) -> list[str]:
    """Return the words among these that are never generalised, in alphabetical order."""
    return sorted(word for word in words if is_sensitive(word))


def words(line: str) -> frozenset[str]:
    """Return the words of a line."""
    return frozenset(line.split())


SENSITIVE = stop_words("negation", "comparative") | words(
    "not no never none nothing nobody without except excluding only just but unless instead more less fewer most"
    " least first last next previous before after earlier later earliest latest above below over under higher lower"
    " highest lowest greater smaller larger biggest smallest longest shortest maximum minimum max min every all any"
    " both either neither each other another same different than again also and or if second third final former"
    " latter past future oldest newest increase decrease since until till between twice double half everyone everything"
)
"""Words that deny, compare, order or join."""

_WORD = re.compile(r"['’]s\b|[^\s.,;:?!()\[\]{}\"“”'’]+(?:(?!['’]s\b)[.'’:,-][^\s.,;:?!()\[\]{}\"“”'’]+)*|[^\s]")
_KINDS = ("email", "url", "quoted", "date", "monthday", "duration", "money", "percent", "quantity", "time", "number")


def _asked(row: Sequence[Token]) -> Sequence[Token]:
    """Drop how politely something is asked, and the final punctuation: no guard of two wordings need agree on that."""
    start, end = 0, len(row)
    while end > 1 and (row[end - 1].key in ".?!," or row[end - 1].key in _THANKS):
        end -= 1
    while start < end - 2 and row[start].key in _POLITE:
        start += 1
    return row[start:end]


_POLITE = words("can could would will you please kindly i i'd we need want to like hi hello hey , help me")
_THANKS = words("please thanks thank you")


def _typed(text: str) -> list[Token]:
    """Return the spans that slot types read, the first type that reads a span wins; longer spans of it first."""
    found: list[Token] = []
    for kind in _KINDS:
        for place in find_all(kind, text):
            value, start, end = cast("tuple[Value, int, int]", place)
            if not any(token.start < end and start < token.end for token in found) and _whole(text, start, end):
                kept = _kind(kind, value)
                found.append(Token(f"<{kept}>", start, end, kept, value))
    for match in _WORD.finditer(text):
        word = match[0]
        if any(token.start <= match.start() < token.end for token in found):
            continue
        if any(character.isdigit() for character in word) and parse_text("id", word) is not None:
            found.append(Token("<id>", match.start(), match.end(), "id", word))
        elif word[0].isupper() and parse_text("weekday", word) is not None and len(word) > 3:
            found.append(Token("<weekday>", match.start(), match.end(), "weekday", parse_text("weekday", word)))
    return found


def _kind(kind: str, value: Value) -> str:
    return f"quantity({_dimension(value)})" if isinstance(value, Quantity) else kind


def _dimension(value: Quantity) -> str:
    from seglam_agents.guards.slots.unit_table import UNITS  # a leaf of the slots, only needed here

    return UNITS[value.unit].dimension


def _whole(text: str, start: int, end: int) -> bool:
    """Tell whether a span begins and ends where words do."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (before.isalnum() or before in ("-", "_", "#")) and not (after.isalnum() or after in ("-", "_"))


def _shared(left: Sequence[str], right: Sequence[str]) -> list[str]:
    """Return the heaviest common subsequence: words that hold a sentence together weigh more than names in it."""
    best = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in range(len(left) - 1, -1, -1):
        for j in range(len(right) - 1, -1, -1):
            matched = best[i + 1][j + 1] + _weight(left[i]) if left[i] == right[j] else 0
            best[i][j] = max(matched, best[i + 1][j], best[i][j + 1])
    found: list[str] = []
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i] == right[j] and best[i][j] == best[i + 1][j + 1] + _weight(left[i]):
            found.append(left[i])
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def _weight(key: str) -> int:
    return 5 if key in _HOLDING or key.startswith("<") else 2


_HOLDING = stop_words("function") | words("and or to of in on at by for with from since between than")


def _places(rows: Sequence[Sequence[Token]], shared: Sequence[str]) -> list[list[tuple[int, int]]] | None:
    """Return for each text its spans of tokens between shared ones, or None where they do not line up."""
    found = [_spans(row, shared) for row in rows]
    if any(spans is None for spans in found):
        return None
    lined = [spans for spans in found if spans is not None]
    for index in range(len(shared) + 1):
        empty = [spans[index][0] == spans[index][1] for spans in lined]
        if any(empty) and not all(empty):
            return None  # Words that may be absent: another wording.
    return lined


def _spans(row: Sequence[Token], shared: Sequence[str]) -> list[tuple[int, int]] | None:
    spans: list[tuple[int, int]] = []
    at = 0
    for key in shared:
        end = next((i for i in range(at, len(row)) if row[i].key == key), None)
        if end is None:
            return None
        spans.append((at, end))
        at = end + 1
    return [*spans, (at, len(row))]


def _wording(
    texts: Sequence[str], rows: Sequence[Sequence[Token]], gaps: Sequence[Sequence[tuple[int, int]]]
) -> Wording | None:
    cuts = _cuts(rows, gaps)
    if cuts is None:
        return None
    literals, places = _cut(texts, rows, cuts)
    words = [token for literal in literals for token in tokens(literal) if token.kind is None and token.key.isalpha()]
    if len(places) > MAX_PLACES or len(words) < max(2, MIN_SHARED * len(rows[0])):
        return None
    return Wording(tuple(texts), literals, places)


def _cuts(
    rows: Sequence[Sequence[Token]], gaps: Sequence[Sequence[tuple[int, int]]]
) -> list[list[tuple[int, int]]] | None:
    """Return for each text the spans of tokens that are places: gaps, and shared types whose values differ."""
    cuts: list[list[tuple[int, int]]] = [[] for _ in rows]
    for index in range(len(gaps[0])):
        spans = [spans[index] for spans in gaps]
        if spans[0][0] < spans[0][1]:
            if not all(_may_vary(row[start:end]) for row, (start, end) in zip(rows, spans, strict=True)):
                return None
            for cut, span in zip(cuts, spans, strict=True):
                cut.append(span)
        following = [row[end] for row, (_, end) in zip(rows, spans, strict=True) if end < len(row)]
        if len(following) == len(rows) and following[0].kind and _differ(following):
            for cut, (_, end) in zip(cuts, spans, strict=True):
                cut.append((end, end + 1))
    return cuts


def _may_vary(words: Sequence[Token]) -> bool:
    if len(words) > MAX_PLACE_WORDS or any(word.key in ".?!;:" for word in words):
        return False
    return not any(is_sensitive(word.key) for word in words)


def _differ(following: Sequence[Token]) -> bool:
    return any(token.value != following[0].value for token in following)


def _cut(
    texts: Sequence[str], rows: Sequence[Sequence[Token]], cuts: Sequence[Sequence[tuple[int, int]]]
) -> tuple[tuple[str, ...], tuple[Place, ...]]:
    literals: list[str] = []
    places: list[Place] = []
    at = 0
    for index, (start, end) in enumerate(cuts[0]):
        literals.append(texts[0][at : rows[0][start].start])
        at = rows[0][end - 1].end
        places.append(_place(texts, rows, [cut[index] for cut in cuts]))
    return (*literals, texts[0][at:]), tuple(places)


def _place(texts: Sequence[str], rows: Sequence[Sequence[Token]], spans: Sequence[tuple[int, int]]) -> Place:
    parts = [row[start:end] for row, (start, end) in zip(rows, spans, strict=True)]
    written = tuple(text[part[0].start : part[-1].end] for text, part in zip(texts, parts, strict=True))
    kinds = {part[0].kind if len(part) == 1 else None for part in parts}
    kind = kinds.pop() if len(kinds) == 1 else None
    values = tuple(part[0].value for part in parts) if kind else written
    return Place(kind, written, values)
