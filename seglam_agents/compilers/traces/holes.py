"""What may stand in a hole of a plan: every term that fits all runs, which must agree as the body runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeGuard, cast

from seglam_agents.compilers.traces.arithmetic import formulas, steady
from seglam_agents.compilers.traces.limits import counted
from seglam_agents.compilers.traces.offsets import offsets
from seglam_agents.compilers.traces.reports import reports
from seglam_agents.compilers.traces.sight import Found, Sight, is_number, signature
from seglam_agents.compilers.traces.terms import (
    Term,
    Unknown,
    Values,
    agreeing,
    applied,
    constant,
    joined,
    mapping,
    sequence,
    values,
)
from seglam_agents.compilers.traces.wish import plausible, weight
from seglam_agents.records.values import Value

MAX_RIVALS = 20
"""Explanations that must agree; where more fit, another run has to come first."""
MAX_PIECES = 12
"""Places of one text."""
DATED = re.compile(
    r"(?<!\d)(19|20)\d\d(?!\d)|\bQ[1-4]\b|\b(January|February|March|April|May|June|July|August|September|October"
    r"|November|December|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\b"
)
"""What says a time in a value that no request gave."""
ROUNDABOUT = 2
"""Choices that make an explanation a roundabout one."""
CHOSEN = 4
"""Different values that a roundabout explanation must have given, where the request says nothing of its choices."""
ECHOES = 3
"""Different values of a place that results repeat, from which on that is no chance."""
_SPELT = frozenset(("str", "exact"))
_NUMBER = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|-?\d+(?:\.\d+)?")
_DAY = re.compile(r"(?<!\d)\d{4}-\d{1,2}-\d{1,2}(?!\d)")
_YEAR = re.compile(r"(?<!\d)(19|20)\d\d-")


@dataclass(frozen=True, slots=True)
class Unexplained:
    """Nothing explains a value, or too much does; says what and which run would help."""

    reason: str


Origin: TypeAlias = Term | Unexplained


def explain(targets: Values, sight: Sight, choices: Sequence[Value] = ()) -> Origin:
    """Return the term that computes the same as the runs did, agreeing on every explanation there is.

    Args:
        targets: the value in each view.
        sight: what can be seen there.
        choices: the closed set that the value is a member of, as a tool declares it.
    """
    _ = choices
    if all(isinstance(target, str) for target in targets):
        return _text(cast("tuple[str, ...]", targets), sight)
    if all(is_number(target) for target in targets):
        return _number(cast("tuple[float, ...]", targets), sight)
    if found := _plain(targets, sight):
        return settle(found, sight)
    if all(isinstance(target, dict) for target in targets):
        return _record(cast("tuple[Mapping[str, Value], ...]", targets), sight)
    if all(isinstance(target, list) for target in targets):
        return _list(cast("tuple[Sequence[Value], ...]", targets), sight)
    return Unexplained(f"nothing seen explains {shown(targets)}")


def settle(terms: Sequence[Term], sight: Sight) -> Origin:
    """Return the agreement of all explanations that an agent may have meant; too many of them are none."""
    meant = plausible({term.code: term for term in _heard(terms, sight)}.values(), sight.wish, len(sight.views))
    ordered = sorted(meant, key=lambda term: (term.size, term.code))
    if not ordered:
        return Unexplained("nothing but the clock says it, and nothing speaks of a time")
    if not all(map(sight.wish.says, ordered) if sight.wish else ()) and _accidental(ordered, sight):
        return Unexplained(f"{ordered[0].code} may fit by accident: another run is needed")
    if len(ordered) > MAX_RIVALS:
        codes = ", ".join(term.code for term in ordered[:3])
        return Unexplained(f"{len(ordered)} explanations fit every run, such as {codes}: another run is needed")
    return agreeing(ordered)


def _accidental(terms: Sequence[Term], sight: Sight) -> bool:
    """Tell whether nothing but roundabout choices fit, and so few values that one of many such choices always does."""
    if min(weight(term) for term in terms) < ROUNDABOUT:
        return False
    return len({repr(value) for value in values(terms[0], sight.views) or ()}) < CHOSEN


def _heard(terms: Sequence[Term], sight: Sight) -> list[Term]:
    """Return terms without the echoes of a place: rows that were found by a name say that name, whichever is looked at.

    A record that says it outright stays a rival: it may spell it in its own way.
    """
    places = [term for term in terms if term.family == "request" and term.uses <= _SPELT and _varied(term, sight)]
    return [term for term in terms if not (places and term.family == "result" and term.uses - _SPELT)]


def _varied(term: Term, sight: Sight) -> bool:
    """Tell whether a place said so many different things that nothing else says the same by chance."""
    distinct = {str(value) for value in values(term, sight.views) or ()}
    return len(distinct) >= ECHOES or (len(distinct) > 1 and all(len(text) > 3 for text in distinct))


def _plain(targets: Values, sight: Sight) -> list[Term]:
    """Return the terms of the grammar with these values, and the constant."""
    found = [atom[0] for atom in sight.index.get(signature(targets), ())]
    if any(signature((target,)) != signature(targets[:1]) for target in targets):
        return _timely(found, any(_clocked(str(target), sight) for target in targets))
    rivals = [term for term in found if term.family != "clock" or _clocked(str(targets[0]), sight)]
    if _overruled(str(targets[0]), rivals, sight):
        return rivals
    if _stale(targets[0], rivals, sight):
        return []
    return [constant(targets[0]), *rivals] if not isinstance(targets[0], (dict, list)) else rivals


def _clocked(text: str, sight: Sight) -> bool:
    """Tell whether the clock is a rival: the request speaks of a time, or the value does."""
    return sight.timed or DATED.search(text) is not None


def _timely(terms: list[Term], clocked: bool) -> list[Term]:
    """Return terms without those of the clock, where nothing speaks of a time; how far off a day is may be all."""
    if clocked:
        return terms
    told = [term for term in terms if term.family != "clock"]
    return told or [term for term in terms if _AGED.match(term.code)]


_AGED = re.compile(r"(str\()?days_(since|until)\(")


def _overruled(text: str, rivals: Sequence[Term], sight: Sight) -> bool:
    """Tell whether a time is no constant: the request speaks of one, and the clock says it."""
    return sight.timed and DATED.search(text) is not None and any(term.family == "clock" for term in rivals)


def _stale(value: Value, rivals: Sequence[Term], sight: Sight) -> bool:
    """Tell whether a constant says a time that no clock of the body can follow."""
    dated = isinstance(value, str) and _YEAR.search(value) is not None
    return dated and not any(term.family != "constant" for term in rivals)


def _number(targets: tuple[float, ...], sight: Sight) -> Origin:
    found = [*_plain(targets, sight), *counted(targets, sight)]
    if len(set(targets)) == 1:
        found += steady(targets[0], sight)
    if not found or _uncertain(targets):
        computed = formulas(targets, sight)
        if not found and not computed:
            return Unexplained(f"nothing seen explains the number {shown(targets)}")
        found = [*found, *computed]
    return settle(found, sight)


def _uncertain(targets: tuple[float, ...]) -> bool:
    """Tell whether so few values were seen that a formula may fit them as well as what says them outright.

    A value that never varied is held against what says it; formulas are no better explanation of a constant.
    """
    distinct = set(targets)
    if len(distinct) == 1:
        return False
    telling = [value for value in distinct if len(re.sub(r"\D|0+$", "", f"{value:g}")) >= 3]
    return len(distinct) < 3 and len(telling) < 2


def _record(targets: Sequence[Mapping[str, Value]], sight: Sight) -> Origin:
    keys = list(targets[0])
    if any(list(target) != keys for target in targets):
        return Unexplained("records with different keys")
    parts: dict[str, Term] = {}
    for key in keys:
        part = explain(tuple(target[key] for target in targets), sight)
        if isinstance(part, Unexplained):
            return Unexplained(f"{key}: {part.reason}")
        parts[key] = part
    return mapping(parts)


def _list(targets: Sequence[Sequence[Value]], sight: Sight) -> Origin:
    if len({len(target) for target in targets}) > 1:
        return Unexplained(f"nothing seen explains the lists {shown(tuple(map(list, targets)))}")
    parts = [explain(tuple(target[i] for target in targets), sight) for i in range(len(targets[0]))]
    wrong = next((part for part in parts if isinstance(part, Unexplained)), None)
    return wrong or sequence([part for part in parts if isinstance(part, Term)])


def _text(targets: tuple[str, ...], sight: Sight) -> Origin:
    found = _plain(targets, sight)
    if all(target == targets[0] for target in targets):
        pieces = _held(targets[0], sight) if len(found) < 2 else None
        if pieces and not any(isinstance(piece, str) and _YEAR.search(piece) for piece in pieces):
            return _join(pieces)
        return settle(found, sight) if found else Unexplained(_undated(targets, sight))
    if found:
        return settle(found, sight)
    pieces = _Puzzle(targets, sight, computing=False).solved()
    if pieces is None:
        pieces = _Puzzle(targets, sight, computing=True).solved()
    if pieces is None or not any(_is_term(piece) for piece in pieces):
        return Unexplained(_undated(targets, sight))
    wrong = next((piece for piece in pieces if isinstance(piece, Unexplained)), None)
    return wrong or _join([piece for piece in pieces if not isinstance(piece, Unexplained)])


def _join(pieces: Sequence[Term | str]) -> Origin:
    try:
        return joined(pieces)
    except Unknown:
        return Unexplained("a text with both kinds of quotes cannot be put together")


def _is_term(piece: Term | str | Unexplained) -> TypeGuard[Term]:
    return isinstance(piece, Term)


_Pieces: TypeAlias = "list[Term | str | Unexplained]"
_Spelt: TypeAlias = tuple[tuple[str, ...], Found]


class _Puzzle:
    """Texts to be laid out as literal words and places in turn; rests that were tried once are known."""

    __slots__ = ("computing", "known", "pool", "sight", "targets")

    def __init__(self, targets: tuple[str, ...], sight: Sight, *, computing: bool) -> None:
        self.targets = targets
        self.sight = sight
        self.computing = computing
        self.pool = [
            (texts, atom) for texts, atom in (*_spelt(sight), *_made(targets, sight)) if texts[0] in targets[0]
        ]
        self.known: dict[tuple[str, ...], _Pieces | None] = {}

    def solved(self) -> _Pieces | None:
        """Return the pieces; None where there are none."""
        return self._laid(self.targets, 0)

    def _laid(self, rests: tuple[str, ...], depth: int) -> _Pieces | None:
        if rests not in self.known:
            self.known[rests] = self._tried(rests, depth)
        return self.known[rests]

    def _tried(self, rests: tuple[str, ...], depth: int) -> _Pieces | None:
        if all(rest == rests[0] for rest in rests):
            return _literal(rests[0], self.sight)
        if depth > MAX_PIECES:
            return None
        prefix = _common_prefix(rests)
        for at in _beginnings(prefix, rests[0]):
            before = _literal(prefix[:at], self.sight)
            if before is None:
                continue
            beginning = tuple(rest[at:] for rest in rests)
            for matching in _matching(beginning, self.pool):
                texts = [str(value) for value in matching[0][1]]
                following = self._after(beginning, texts, depth)
                if following is not None:
                    return [*before, _place(matching, self.sight), *following]
            if self.computing and (computed := _numbers_at(beginning, self.sight)):
                following = self._after(beginning, computed[0], depth)
                if following is not None:
                    return [*before, computed[1], *following]
        return None

    def _after(self, rests: Sequence[str], texts: Sequence[str], depth: int) -> _Pieces | None:
        if any(map(self._cuts_a_day, self.targets, rests, texts)):
            return None
        return self._laid(tuple(rest[len(text) :] for rest, text in zip(rests, texts, strict=True)), depth + 1)

    def _cuts_a_day(self, target: str, rest: str, text: str) -> bool:
        """Tell whether a place would be a part of a date: a month with a number behind it is no day."""
        begin = len(target) - len(rest)
        end = begin + len(text)
        days = [match.span() for match in _DAY.finditer(target)]
        return any(first < begin < last or first < end < last for first, last in days)


def _spelt(sight: Sight) -> list[_Spelt]:
    """Return what can be seen as texts, made once for a sight."""
    known = cast("dict[str, list[_Spelt]]", sight.memo.setdefault("spelt", {}))
    if "spelt" not in known:
        known["spelt"] = [(tuple(str(value) for value in atom[1]), atom) for atom in sight.texts]
    return known["spelt"]


def _made(targets: tuple[str, ...], sight: Sight) -> list[_Spelt]:
    """Return rows told one by one, and days so far off, as texts: made once for the texts that they stand in."""
    known = cast("dict[tuple[str, ...], list[_Spelt]]", sight.memo.setdefault("made", {}))
    if targets not in known:
        made = [*reports(targets, sight), *offsets(targets, sight)]
        known[targets] = [(tuple(map(str, atom[1])), atom) for atom in made]
    return known[targets]


def _place(matching: Sequence[Found], sight: Sight) -> Term | Unexplained:
    terms = [term for term, _ in matching]
    texts = [str(value) for value in matching[0][1]]
    if len(set(texts)) > 1:
        numbers = tuple(map(_figure, texts)) if all(map(_NUMBER.fullmatch, texts)) else ()
        formulas_ = _computed(texts, sight) if numbers and _uncertain(numbers) else []
        clocked = any(_clocked(text, sight) for text in texts)
        return settle([*_timely(terms, clocked), *formulas_], sight)
    rivals = [term for term in terms if term.family != "clock" or _clocked(texts[0], sight)]
    if _overruled(texts[0], rivals, sight):
        return settle(rivals, sight)
    return settle([constant(texts[0]), *rivals], sight)


def _computed(texts: Sequence[str], sight: Sight) -> list[Term]:
    """Return formulas for numbers that a text spells, in that spelling."""
    known = cast("dict[tuple[str, ...], list[Term]]", sight.memo.setdefault("computed", {}))
    key = tuple(texts)
    if key not in known:
        known[key] = _computed_anew(texts, sight)
    return known[key]


def _computed_anew(texts: Sequence[str], sight: Sight) -> list[Term]:
    numbers = tuple(map(_figure, texts))
    found = [*formulas(numbers, sight), *counted(numbers, sight)]
    grouped = any("," in text for text in texts)
    found = [term for term in found if values(term, sight.views) is not None]
    cents = all(re.search(r"\.\d\d$", text) for text in texts)
    if cents:
        spelt = [applied("grouped_cents", t) if grouped else applied("decimals", t, options=(2,)) for t in found]
    else:
        spelt = [applied("grouped" if grouped else "str", applied("exact", term)) for term in found]
    return [term for term in spelt if values(term, sight.views) == tuple(texts)]


def _figure(text: str) -> float:
    return float(text.replace(",", ""))


def _numbers_at(rests: tuple[str, ...], sight: Sight) -> tuple[list[str], Term | Unexplained] | None:
    """Return the numbers that all the texts begin with, and what computes them; None where nothing does."""
    matches = [_NUMBER.match(rest) for rest in rests]
    if not all(matches):
        return None
    texts = [match[0] for match in matches if match]
    if not all(map(_ends, rests, texts)) or len(set(texts)) == 1:
        return None
    found = _computed(texts, sight)
    return (texts, settle(found, sight)) if found else None


def _literal(text: str, sight: Sight) -> _Pieces | None:
    """Return a literal text, with what coincides with something seen in every run as a place."""
    if not text:
        return []
    held = _held(text, sight)
    if held is not None:
        return cast("_Pieces", held)
    return None if _YEAR.search(text) else [text]


def _held(text: str, sight: Sight) -> list[Term | str] | None:
    """Return a text whose words coincide with what was seen: the text and what was seen have to agree."""
    words = {word for word in sight.steady if word in text and _telling(word)}
    for word in sorted(words | set(_NUMBER.findall(text)), key=lambda word: (-len(word), word)):
        said = sight.steady.get(word, ())
        rivals = [*(term for term in said if term.family != "clock" or _clocked(word, sight)), *_counted(word, sight)]
        match = re.search(rf"(?<![\w.]){re.escape(word)}(?![\w]|\.\d)", text)
        if match is None or not rivals:
            continue
        origin = settle(rivals if _overruled(word, rivals, sight) else [constant(word), *rivals], sight)
        if isinstance(origin, Unexplained):
            continue  # Whatever says it is one of too many: the words around it were the same in every run.
        before, after = text[: match.start()], text[match.end() :]
        left = (_held(before, sight) or [before]) if before else []
        right = (_held(after, sight) or [after]) if after else []
        return [*left, origin, *right]
    return None


def _counted(word: str, sight: Sight) -> list[Term]:
    """Return formulas that gave a number of a text in every view, as that text."""
    if not re.fullmatch(r"\d+", word):
        return []
    spelt = [applied("str", applied("exact", term)) for term in steady(float(word), sight)]
    return [term for term in spelt if values(term, sight.views) == (word,) * len(sight.views)]


def _telling(text: str) -> bool:
    return 0 < len(text) <= 60 and any(character.isalnum() for character in text)


def _common_prefix(texts: Sequence[str]) -> str:
    low, high = min(texts), max(texts)
    length = next((i for i, character in enumerate(low) if i >= len(high) or character != high[i]), len(low))
    return low[:length]


def _beginnings(prefix: str, text: str) -> list[int]:
    """Return where a place may begin: at whole tokens first, the last one first, then within them."""
    places = [at for at in range(len(prefix), -1, -1) if _begins(text, at)]
    whole = [at for at in places if at == 0 or text[at - 1].isspace() or text[at - 1] in "('\"$€£#"]
    return [*whole, *(at for at in places if at not in whole)]


def _begins(text: str, at: int) -> bool:
    """Tell whether a word may begin at a position: a place never begins inside a word or a number."""
    return not (at > 0 and text[at - 1].isalnum() and text[at : at + 1].isalnum())


def _matching(rests: tuple[str, ...], pool: Sequence[_Spelt]) -> Iterator[list[Found]]:
    """Yield the terms that all the texts begin with, those with the same values together, longest first."""
    found: dict[tuple[str, ...], list[Found]] = {}
    for texts, atom in pool:
        if rests[0].startswith(texts[0]) and all(map(str.startswith, rests, texts)) and all(map(_ends, rests, texts)):
            found.setdefault(texts, []).append(atom)
    yield from (found[texts] for texts in sorted(found, key=lambda texts: -sum(map(len, texts))))


def _ends(rest: str, text: str) -> bool:
    after = rest[len(text) : len(text) + 2]
    if after[:1].isalnum() and text[-1:].isalnum():
        return False
    return not (text[-1:].isdigit() and after[:1] in ".," and after[1:2].isdigit())


def _undated(texts: Sequence[str], sight: Sight) -> str:
    if any(_YEAR.search(text) for text in texts) and not sight.names("clock"):
        return (
            f"{shown(tuple(texts))} holds a year that is in no request: give the cache a clock (now=...) and the "
            "traces their recorded_at"
        )
    return f"nothing seen explains {shown(tuple(texts))}"


def shown(targets: Values) -> str:
    """Return values as a reason names them."""
    return ", ".join(repr(value)[:80] for value in targets[:3])
