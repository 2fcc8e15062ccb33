"""`normalise`: one spelling for many, so that templates stay short; and the way back to the original text.

Every request goes through here once, before any template sees it. What is folded is spelling only: quotes, dashes,
spaces, full-width letters, vulgar fractions, final punctuation, English number words, contractions, spellings of one
word, and polite frames at the beginning (`spellings`). What could change a meaning stays as it is: superscripts,
control characters, zero-width characters. A text that can be read in two ways ("twenty five-dollar bills") keeps its
words, because a miss is cheap and a wrong number is not.

English number words are rewritten in *runs*: number words joined by spaces, hyphens and "and", as a whole or not at
all, so that rewriting a second time changes nothing. Left alone is also a part of an ordinal ("twenty-first"), and
what continues a number written in digits ("2 hundred and five").

Each pass is a list of edits; `NormalText.source` walks the passes backwards to the span of the original.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Protocol

import re2

from seglam_agents.guards.spellings import frame, spellings


@dataclass(frozen=True, slots=True)
class NormalText:
    """A normalised text that remembers what it was made from."""

    text: str
    original: str
    _passes: tuple[_Pass, ...] = field(default=(), repr=False, compare=False)
    canonical: bool = field(default=False, compare=False)
    """Whether numbers and dates are in the notation that slots read, whatever the locale of the user is."""
    made_up: bool = field(default=False, compare=False)
    """Whether it was made from values, and not written by a user in the notation of a locale."""

    def source(self, start: int, end: int) -> str:
        """Return the original text under the normalised span [start, end).

        A span that touches a part of a rewritten piece ("2" of the "25" that was "twenty-five") gets all of it.
        """
        first, last = self.span(start, end)
        return self.original[first:last]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the normalised span [start, end) stands in the original text."""
        empty = start >= end
        for step in reversed(self._passes):
            start, end = step.start(start), step.end(end)
        return (start, start) if empty else (start, end)

    def edited(self, edits: Iterable[tuple[int, int, str]]) -> NormalText:
        """Return the text with further, ordered and disjoint edits."""
        draft = _Draft(self.text)
        draft.edit(edits)
        return NormalText(draft.text, self.original, (*self._passes, *draft.passes), True, self.made_up)


def normalise(text: str, *, made_up: bool = False) -> NormalText:
    """Return the text in the one spelling that templates are written against; upper and lower case are kept.

    Args:
        text: as it was written.
        made_up: True where it was made from values rather than written by a user in the notation of a locale.
    """
    draft = _Draft(text)
    _fold(draft)
    draft.edit(_trims(draft.text))
    draft.edit(spellings(draft.text))
    draft.edit(_number_words(draft.text))
    draft.edit([_Edit(0, polite, "")] if (polite := frame(draft.text)) else [])
    return NormalText(draft.text, text, tuple(draft.passes), made_up, made_up)


def normalise_literal(text: str, *, final: bool = False) -> str:
    """Return the literal text of a template in the same spelling; one space at either end is kept.

    Args:
        text: literal text of a template, without slots and without syntax.
        final: True when nothing follows in the template: final sentence punctuation is dropped, as in a request.
    """
    draft = _Draft(text)
    _fold(draft)
    draft.edit(spellings(draft.text))
    draft.edit(_number_words(draft.text))
    return draft.text.rstrip(_FINAL) if final else draft.text


def asks(text: str) -> bool:
    """Tell whether a request asks: a mark behind a word, whatever follows, or "a question:" before all of it.

    A mark in quotes is quoted, and one before a letter is part of an address.
    """
    return _ASKING.search(_QUOTED.sub("", text)) is not None


def words(text: str) -> frozenset[str]:
    """Return the casefolded alphabetic runs of a normalised text."""
    return frozenset(_ALPHABETIC.findall(text.casefold()))


class LinearMatch(Protocol):
    """The part of an RE2 match that is used here."""

    def span(self, group: int = 0) -> tuple[int, int]:
        """Return the start and end of a group."""
        ...


class LinearPattern(Protocol):
    """A compiled RE2 pattern: its time is linear in the text, whatever the text."""

    def search(self, text: str, pos: int = 0) -> LinearMatch | None:
        """Return the first match at or after a position."""
        ...

    def fullmatch(self, text: str) -> LinearMatch | None:
        """Return a match of the whole text."""
        ...

    def finditer(self, text: str) -> Iterator[LinearMatch]:
        """Return all matches that do not overlap."""
        ...


@lru_cache(maxsize=1024)
def linear(pattern: str, *, cased: bool = False) -> LinearPattern:
    """Compile a pattern with RE2, upper and lower case alike unless it is `cased`."""
    options = re2.Options()
    options.case_sensitive = cased
    options.log_errors = False
    return re2.compile(pattern, options)


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


class _Pass:
    """One list of edits: maps positions of its output back to positions of its input."""

    __slots__ = ("_after", "_before", "_input_end", "_input_start")

    def __init__(self, edits: list[tuple[int, int, str]]) -> None:
        self._before: list[int] = []  # where each replacement starts in the output
        self._after: list[int] = []  # and where it ends
        self._input_start = [edit[0] for edit in edits]
        self._input_end = [edit[1] for edit in edits]
        shift = 0
        for start, end, text in edits:
            self._before.append(start + shift)
            shift += len(text) - (end - start)
            self._after.append(end + shift)

    def start(self, position: int) -> int:
        """Return the input position of a span that starts at an output position."""
        edit = bisect_right(self._before, position) - 1
        if edit < 0:
            return position
        if position < self._after[edit]:
            return self._input_start[edit]
        return position - self._after[edit] + self._input_end[edit]

    def end(self, position: int) -> int:
        """Return the input position of a span that ends at an output position."""
        edit = bisect_left(self._before, position) - 1
        if edit < 0:
            return position
        if position <= self._after[edit]:
            return self._input_end[edit]
        return position - self._after[edit] + self._input_end[edit]


class _Draft:
    """A text under edit, with the passes made so far."""

    __slots__ = ("passes", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.passes: list[_Pass] = []

    def edit(self, edits: Iterable[tuple[int, int, str]]) -> None:
        """Apply ordered, disjoint edits."""
        made = list(edits)
        if not made:
            return
        pieces: list[str] = []
        position = 0
        for start, end, text in made:
            pieces += (self.text[position:start], text)
            position = end
        pieces.append(self.text[position:])
        self.text = "".join(pieces)
        self.passes.append(_Pass(made))


def _fold(draft: _Draft) -> None:
    """Fold everything that depends on single characters and spaces."""
    if not draft.text.isascii():
        draft.text = _fold_characters(_encodable(draft.text))
        if not unicodedata.is_normalized("NFC", draft.text):
            draft.edit(_compositions(draft.text))
        draft.edit(_fractions(draft.text))
    draft.edit(_spaces(draft.text))


def _encodable(text: str) -> str:
    """Replace lone surrogates, which RE2 cannot read, one for one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    return text


def _fold_characters(text: str) -> str:
    """Fold characters one for one; much faster than `str.translate` where few of them are outside ASCII."""
    for character in set(_NOT_ASCII.findall(text)):
        if (folded := _ONE_TO_ONE.get(character)) is not None:
            text = text.replace(character, folded)
    return text


def _compositions(text: str) -> list[_Edit]:
    """Return the edits that bring a text into NFC, one for each cluster of characters that compose."""
    edits = [
        _Edit(start, end, composed)
        for start, end in _clusters(text)
        if (composed := unicodedata.normalize("NFC", text[start:end])) != text[start:end]
    ]
    whole = unicodedata.normalize("NFC", text)
    check = _Draft(text)
    check.edit(edits)
    # Clusters are found by rule of thumb; a script that breaks the rule is still exact, only coarser.
    return edits if check.text == whole else [_Edit(0, len(text), whole)]


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Split a text before each character that cannot compose with the one before it."""
    start = 0
    for position in range(1, len(text)):
        character = text[position]
        if character.isascii() or not (unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff"):
            yield start, position
            start = position
    if text:
        yield start, len(text)


def _fractions(text: str) -> Iterator[_Edit]:
    """Spell out vulgar fractions and ellipses, unless a neighbour would make another number of them."""
    for match in _WIDE.finditer(text):
        start, end = match.span()
        if match[0] == "…":
            yield _Edit(start, end, "...")
            continue
        before, after = text[start - 1 : start] or " ", text[end : end + 1] or " "
        if (before.isnumeric() and not before.isascii()) or before in "./,:⁄" or after.isnumeric() or after in "/⁄":
            continue
        yield _Edit(start, end, (" " if before.isdigit() else "") + _FRACTIONS[match[0]])


def _spaces(text: str) -> list[_Edit]:
    """Return the edits for runs of white space and for space before punctuation."""
    if not _UNEVEN.search(text):
        return []
    return [_Edit(*match.span(), "" if match[1] is None else " ") for match in _BLANK.finditer(text)]


def _trims(text: str) -> list[_Edit]:
    """Return the edits that drop space at both ends and final sentence punctuation."""
    kept = len(text.rstrip(_FINAL))
    first = min(len(text) - len(text.lstrip(" ")), kept)
    edits = [_Edit(0, first, "")] if first else []
    return [*edits, _Edit(kept, len(text), "")] if kept < len(text) else edits


def _number_words(text: str) -> list[tuple[int, int, str]]:
    """Return the edits (start, end, digits) that turn the number words of a text into digits."""
    if not _ANY.search(text):
        return []
    edits: list[tuple[int, int, str]] = []
    for match in _RUN.finditer(text):
        start, end = match.span()
        if _stands_free(text, start, end) and (digits := _digits(text, start, end)):
            edits.append((start, end, digits))
    return edits


@dataclass(slots=True)
class _Run:
    """The words of a run, and what joins each to the word before it ("" for the first)."""

    words: list[str]
    joints: list[str]
    between: bool

    def joined(self, position: int, *joints: str) -> bool:
        """Tell whether there is a word at a position that is joined to the one before by one of these."""
        return position < len(self.words) and self.joints[position] in joints

    def word(self, position: int) -> str:
        """Return the word at a position, or nothing past the end."""
        return self.words[position] if position < len(self.words) else ""


def _stands_free(text: str, start: int, end: int) -> bool:
    """Tell whether no letter, digit, mark or invisible character touches the run."""
    return _is_edge(text[start - 1 : start], text[start - 2 : start - 1]) and _is_edge(
        text[end : end + 1], text[end + 1 : end + 2]
    )


def _is_edge(neighbour: str, beyond: str) -> bool:
    if not neighbour or neighbour == " ":
        return True
    if neighbour == "'":  # "one's", but not "'one'"
        return not beyond.isalnum()
    if neighbour.isascii():
        return not neighbour.isalnum() and neighbour != "_" and neighbour.isprintable()
    return unicodedata.category(neighbour)[0] in "PSZ"


def _digits(text: str, start: int, end: int) -> str | None:
    """Return a run with its words as digits, or None when it has to stay."""
    parts = _PART.findall(text[start:end].lower())
    before = text[max(0, start - 8) : start].lower()
    run = _Run([word for _, word in parts], [joint for joint, _ in parts], before == "between ")
    if before.endswith("point ") or _is_ordinal(run, text, end):
        return None
    pieces: list[str] = []
    position = 0
    while position < len(run.words):
        read = _number(run, position)
        if read is None:
            return None
        value, after = read
        pieces += (run.joints[position], str(value))
        if (
            after == len(run.words)
            and after - position > 1
            and run.joints[after - 1] != "-"
            and _GLUED.match(text, end)
        ):
            return None  # "twenty five-dollar bills": 25 dollars, or 20 bills of 5?
        position = after
    return "".join(pieces)


def _is_ordinal(run: _Run, text: str, end: int) -> bool:
    """Tell whether the run is the head of an ordinal: "twenty-" of "twenty-first"."""
    last = run.words[-1]
    if last in _UNITS:
        return bool(_ORDINAL_SCALE.match(text, end))
    return bool(_ORDINAL.match(text, end))


def _number(run: _Run, position: int) -> tuple[int, int] | None:
    """Read one number: groups below a thousand, each with a smaller scale than the one before."""
    total, limit = 0, 10**13
    while True:
        group = _below_thousand(run, position)
        if group is None:
            return None
        value, position = group
        scale = _SCALES.get(run.word(position)) if run.joined(position, " ", "-") else None
        if scale is None:
            return total + value, position
        if scale >= limit or value == 0:
            return None
        total, limit, position = total + value * scale, scale, position + 1
        if run.word(position) in _SCALES:
            return None
        if run.joined(position, " and "):
            return _tail(run, total, position)
        if not run.joined(position, " ", "-"):
            return total, position


def _below_thousand(run: _Run, position: int) -> tuple[int, int] | None:
    group = _below_hundred(run, position)
    if group is None:
        return None
    value, position = group
    if not (run.joined(position, " ", "-") and run.word(position) == "hundred"):
        return group
    if value == 0:
        return None
    value, position = value * 100, position + 1
    if run.joined(position, " and "):
        return _tail(run, value, position)
    if run.joined(position, " ", "-") and run.word(position) not in _SCALES:
        rest = _below_hundred(run, position)
        return (value + rest[0], rest[1]) if rest and rest[0] else None
    return value, position


def _tail(run: _Run, total: int, position: int) -> tuple[int, int] | None:
    """Read the "and five" of "one hundred and five"; a bigger number after the "and" is a number of its own."""
    rest = _below_hundred(run, position)
    if rest is None:
        return None
    value, after = rest
    following = run.word(after) if run.joined(after, " ", "-") else ""
    if following == "hundred":
        return total, position
    if following or value == 0 or run.between:
        return None  # "one hundred and two thousand", "between one hundred and five": two readings
    return total + value, after


def _below_hundred(run: _Run, position: int) -> tuple[int, int] | None:
    word = run.word(position)
    if word in _UNITS:
        return _UNITS[word], position + 1
    if word not in _TENS:
        return None
    unit = _UNITS.get(run.word(position + 1), 0) if run.joined(position + 1, " ", "-") else 0
    if 1 <= unit <= 9:
        return _TENS[word] + unit, position + 2
    return _TENS[word], position + 1


_FINAL = " .?!"
_MARKS = "?\u037e\u055e\u061f\u203d\u2047-\u2049\u2e2e\ufe16\ufe56\uff1f"
_ASKING = re.compile(rf"[{_MARKS}](?!\w)|^\W*(?:\w+\W+){{0,3}}question\W*[:,.\u2013\u2014-]", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"]*\"|\u201c[^\u201d]*\u201d|\u00ab[^\u00bb]*\u00bb")
_ALPHABETIC = re.compile(r"[^\W\d_]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNEVEN = linear(r"[\t-\r]| [ ,.;:?!]")
# Group 1 marks a run that becomes one space; a run before punctuation vanishes, but ".5" is a number.
_BLANK = re.compile(r"[ \t-\r]+(?=[,;:?!]|\.(?![0-9]))|((?:[\t-\r]| (?=[ \t-\r]))[ \t-\r]*)")
_NOT_ASCII = re.compile("[^\x00-\x7f]")

_ONE_TO_ONE = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2039\u203a\u00b4\u02bc\u02b9\u1ffd", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63", "-"),
    **dict.fromkeys("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a", " "),
    **dict.fromkeys("\u2028\u2029\u202f\u205f\u3000", " "),
    "\u037e": ";",
    **dict(zip("\uffe0\uffe1\uffe5\uffe6", "\u00a2\u00a3\u00a5\u20a9", strict=True)),  # full-width ￠￡￥￦
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
}
_FRACTIONS = {
    character: unicodedata.normalize("NFKC", character).replace("⁄", "/") for character in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"
}
_WIDE = re.compile("[…" + "".join(_FRACTIONS) + "]")

_UNIT_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS = {word: value for value, word in enumerate(_UNIT_WORDS.split())}
_TENS = {word: 10 * value for value, word in enumerate(_TEN_WORDS.split(), start=2)}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_WORD = "(?:" + "|".join(sorted({*_UNITS, *_TENS, "hundred", *_SCALES})) + ")"
_START = "(?:" + "|".join(sorted({*_UNITS, *_TENS})) + ")"
_ANY = linear(rf"\b{_START}\b")
_RUN = linear(rf"\b{_WORD}(?:(?: and |[ -]){_WORD})*\b")
_PART = re.compile(r"(| and | |-)([a-z]+)")
_GLUED = re.compile(r"-[^\W\d_]")
_ORDINAL_SCALE = re.compile(r"[ -](?:hundred|thousand|million|billion|trillion)th\b", re.IGNORECASE)
_ORDINAL = re.compile(
    r"[ -](?:and )?(?:first|second|third|(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|\w+teen|\w+tie"
    r"|hundred|thousand|million|billion|trillion)th)\b",
    re.IGNORECASE,
)
