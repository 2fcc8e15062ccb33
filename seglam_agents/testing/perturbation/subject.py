"""`Subject`: a request with the places where its values stand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from seglam_agents.records.values import as_number

SpanSort: TypeAlias = Literal["number", "quoted", "code", "name", "words"]


@dataclass(frozen=True, slots=True)
class Span:
    """A value of a request, and where it stands."""

    start: int
    end: int
    sort: SpanSort


@dataclass(frozen=True, slots=True)
class Subject:
    """A request that is served, with the places of its values in their order."""

    text: str
    spans: tuple[Span, ...]

    def value(self, span: Span) -> str:
        """Return the text of a value."""
        return self.text[span.start : span.end]

    def put(self, span: Span, new: str) -> str:
        """Return the request with another text in the place of a value."""
        return self.text[: span.start] + new + self.text[span.end :]

    def reads(self, span: Span, new: str) -> str:
        """Return the number that a text comes to in the place of a value: with denominator, scale or cents."""
        number = as_number(new)
        if number is None:
            return new
        before, behind = self.text[: span.start], self.text[span.end :]
        if (over := re.match(r"/(\d+)", behind)) and int(over[1]):
            number /= int(over[1])
        elif (above := re.search(r"(?:(\d+) )?(\d+)/$", before)) and number:
            number = int(above[1] or 0) + int(above[2]) / number
        elif (word := re.match(r"[ -]?([a-z]+)", behind, re.I)) and word[1].lower() in _SCALES:
            number *= _SCALES[word[1].lower()]
        return format(number, ".12g")

    @property
    def asks(self) -> bool:
        """True for a question, False for a request to do something."""
        return self.text.rstrip().endswith("?") or bool(_ASKING.match(self.text))

    @property
    def bare(self) -> str:
        """The request without the mark at its end."""
        return self.text.rstrip().rstrip(".?!").rstrip()

    @property
    def inner(self) -> str:
        """The same with a small letter, to stand within a sentence."""
        first = self.bare.split(" ", 1)[0]
        # A name, a code or "I" keeps its capital letter.
        kept = (
            first == "I"
            or first[1:] != first[1:].lower()
            or any(x.start == 0 and x.sort != "words" for x in self.spans)
        )
        return self.bare if kept else self.bare[:1].lower() + self.bare[1:]


def subject_of(text: str, values: Iterable[str] = ()) -> Subject:
    """Find the places of values in a request: those that are known, numbers, quoted texts, codes and names."""
    found: list[Span] = []
    known = [re.escape(value) for value in values if value.strip()]
    patterns: list[tuple[SpanSort, str]] = [("quoted", _QUOTED), ("code", _CODE), ("number", _NUMBER), ("name", _NAME)]
    for pattern in known:
        found += [
            Span(*match.span(), _sort(match.group())) for match in re.finditer(rf"(?<!\w){pattern}(?!\w)", text, re.I)
        ]
    for sort, pattern in patterns:
        found += [Span(*match.span(), sort) for match in re.finditer(pattern, text)]
    return Subject(text, _apart(found))


def _sort(value: str) -> SpanSort:
    if re.fullmatch(_NUMBER, value):
        return "number"
    if re.fullmatch(_CODE, value):
        return "code"
    return "name" if re.fullmatch(r"[A-ZÀ-Þ][\w'’.-]*(?: [A-ZÀ-Þ][\w'’.-]*)*", value) else "words"


def _apart(spans: list[Span]) -> tuple[Span, ...]:
    """Return spans that do not overlap: those found first win."""
    kept: list[Span] = []
    for span in spans:
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return tuple(sorted(kept, key=lambda span: span.start))


_SCALES = {
    "hundred": 100, "thousand": 1_000, "k": 1_000, "million": 1_000_000, "billion": 1_000_000_000, "dozen": 12,
    "cent": 0.01, "cents": 0.01, "pence": 0.01,
}  # fmt: skip
_ASKING = re.compile(
    r"(?i)\s*(?:what|who|whose|whom|which|when|where|why|how|is|are|was|were|do|does|did|has|have|can i|will|am)\b"
)
_QUOTED = r"(?<!\w)(?:\"[^\"]+\"|'[^']+'(?!\w)|“[^”]+”)"
_CODE = r"(?<![\w.])(?=[\w@.-]*\d)(?=[\w@.-]*[A-Za-z])[A-Za-z0-9][\w@.-]*\w(?!\w)"
_NUMBER = r"(?<![\w.])\d(?:[\d,]*\d)?(?:\.\d+)?(?![\w])"
_NAME = r"(?<=[\w,;:] )[A-ZÀ-Þ][\w'’-]+(?: [A-ZÀ-Þ][\w'’.-]+)*"
