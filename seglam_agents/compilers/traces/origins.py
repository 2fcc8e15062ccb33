"""Where a value comes from: the term that all traces agree on, or why there is none."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import product
from typing import TypeAlias, cast

from seglam_agents.compilers.traces.atoms import Atoms, Found
from seglam_agents.compilers.traces.clocks import clocked
from seglam_agents.compilers.traces.terms import (
    Family,
    Term,
    Unknown,
    Values,
    View,
    agreeing,
    applied,
    constant,
    joined,
    mapping,
    operation,
    sequence,
    table,
    values,
)
from seglam_agents.records.values import Value

MAX_AGREEING = 8
"""Explanations that a body holds against each other; with more than these, more traces are needed."""
MAX_SHIFT = 400
"""Days between a day and another one that it may be reckoned from."""
MAX_DEEP = 10
"""Numbers up to which two operations are tried: among more, too much fits by accident."""
MAX_NUMBERS = 24
"""Numbers that sums and products are tried with."""
_YEAR = re.compile(r"(?<!\d)(19|20)\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Unexplained:
    """No term has these values, or several do and nothing can tell them apart while running."""

    reason: str
    separating: str = ""
    """Which further trace would tell."""


Origin: TypeAlias = Term | Unexplained


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of an argument besides its values."""

    choices: tuple[Value, ...] = ()
    """The closed set of values that a tool's schema allows."""
    words: Mapping[str, Value] = field(default_factory=dict[str, Value])
    """Words for its values that other kinds of request have shown, in lower case."""


def explain(targets: Values, atoms: Atoms, hints: Hints = Hints()) -> Origin:
    """Return the term that has the target as its value in every view."""
    if targets and all(isinstance(value, dict) for value in targets):
        return _dict(cast("tuple[Mapping[str, Value], ...]", targets), atoms)
    if targets and all(isinstance(value, list) for value in targets):
        return _list(cast("tuple[Sequence[Value], ...]", targets), atoms)
    if (said := _said(targets, atoms, hints)) is not None:
        return said
    found = _simple(targets, atoms)
    if isinstance(targets[0], (int, float)) and not isinstance(targets[0], bool):
        return _number(targets, atoms, found)
    if found:
        return resolve(found, atoms.views)
    if not all(isinstance(value, str) for value in targets):
        return Unexplained(f"nothing seen explains {_shown(targets)}")
    texts = cast("tuple[str, ...]", targets)
    if timed := list(clocked(texts, atoms)):
        return resolve(timed, atoms.views)
    if any(" " in text for text in texts):  # A sentence is put together, not looked up.
        return _text(texts, atoms) or _table(texts, atoms, hints) or _unexplained(texts, atoms)
    return _table(texts, atoms, hints) or _text(texts, atoms) or _unexplained(texts, atoms)


def resolve(found: Sequence[Term], views: Sequence[View]) -> Origin:
    """Return one term for several that fit: one that has a value only where they agree, if that is safe."""
    terms = sorted({term.code: term for term in found}.values(), key=lambda term: (term.size, term.code))
    if len(terms) == 1:
        return terms[0]
    if any(term.family == "computed" for term in terms):
        return _ambiguous(terms[:3], views)
    arguments = [term for term in terms if term.family == "request"]
    if len({term.sources for term in arguments}) > 1:
        return _ambiguous(arguments[:3], views)
    if len(terms) > MAX_AGREEING:
        return Unexplained(f"{len(terms)} explanations fit every trace, such as {terms[0].code} and {terms[1].code}")
    return agreeing(terms)


def _simple(targets: Values, atoms: Atoms) -> list[Term]:
    """Return constants, copies, conversions and days that fit."""
    found: list[Term] = []
    if all(same(value, targets[0]) for value in targets) and not _undated(targets[0], atoms):
        found.append(constant(targets[0]))
    pool = atoms.texts if isinstance(targets[0], str) else atoms.plain
    found += [term for term, seen in pool if _fits(seen, targets)]
    return found + ([] if any(t.family != "constant" for t in found) else list(_shifts(targets, atoms)))


def _fits(seen: Values, targets: Values) -> bool:
    return all(same(left, right) for left, right in zip(seen, targets, strict=True))


def same(left: Value, right: Value) -> bool:
    """Tell whether two values are the same for a tool: 30 is not "30", and 1 is not True."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right or abs(left - right) <= 1e-9 * max(1.0, abs(right))
    return type(left) is type(right) and left == right


def _undated(target: Value, atoms: Atoms) -> bool:
    """Tell whether a value is a date and no trace says when it was made: tomorrow it would be wrong."""
    return isinstance(target, str) and bool(_YEAR.search(target)) and "clock" not in atoms.families.values()


def _shifts(targets: Values, atoms: Atoms) -> Iterator[Term]:
    """Days that are always as many days from another day, with or without the same time behind them."""
    texts = [value for value in targets if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value)]
    rest = texts[0][10:] if texts else ""
    if len(texts) != len(targets) or any(text[10:] != rest for text in texts):
        return
    for term, seen in atoms.days:
        if term.size > 3 or not all(isinstance(day, date) for day in seen):
            continue
        days = [day.date() if isinstance(day, datetime) else cast(date, day) for day in seen]
        offsets = {(date.fromisoformat(text[:10]) - day).days for text, day in zip(texts, days, strict=True)}
        if len(offsets) == 1 and 0 < abs(offset := offsets.pop()) <= MAX_SHIFT:
            day = applied("iso_day", applied("shifted", term, options=(offset,)))
            yield joined([day, rest]) if rest else day


def _number(targets: Values, atoms: Atoms, found: Sequence[Term]) -> Origin:
    """Explain a number: copies and one operation are tried together, because numbers coincide."""
    copies = [term for term, seen in atoms.numbers if _fits(seen, targets)]
    constants = [term for term in found if term.family == "constant"]
    plain = {term.code: term for term in [*found, *copies]}
    numbers = _distinct(atoms.numbers)
    if len(numbers) > MAX_NUMBERS and not plain:
        return Unexplained(f"{len(numbers)} numbers are too many to find the formula of {_shown(targets)} among them")
    computed = [] if constants else _operations(targets, numbers[:MAX_NUMBERS])
    if plain or computed:
        return resolve([*plain.values(), *computed], atoms.views)
    deeper = _deeper(targets, numbers) if len(numbers) <= MAX_DEEP else []
    if deeper:
        return resolve(deeper, atoms.views)
    return Unexplained(f"nothing seen explains the number {_shown(targets)}")


def _distinct(numbers: Sequence[Found]) -> list[Found]:
    """Return the numbers for formulas: a count or sum that is always one plain number says nothing more than that."""
    plain = {seen for term, seen in numbers if not term.code.startswith(_AGGREGATING)}
    kept = {
        term.code: (term, seen)
        for term, seen in numbers
        if not term.code.startswith("mean(") and (seen not in plain or not term.code.startswith(_AGGREGATING))
    }
    return sorted(kept.values(), key=lambda atom: atom[0].size)


_AGGREGATING = ("len(", "sum(", "max(", "min(", "mean(")


def _operations(targets: Values, numbers: Sequence[Found]) -> list[Term]:
    found: list[Term] = []
    for (left, first), (right, second) in product(numbers, repeat=2):
        for operator in "+-*/":
            if left.code == right.code or (operator in "+*" and left.code > right.code):
                continue
            if not _idle(operator, first, second) and _computes(operator, first, second, targets):
                found.append(_rounded(operation(operator, left, right), [first, second], operator, targets))
    return found


def _rounded(term: Term, operands: Sequence[Values], operator: str, targets: Values) -> Term:
    """Give a formula the spelling that the traces had: as computed, without binary noise, or rounded to cents."""
    results = [_result(operator, a, b) for a, b in zip(operands[0], operands[1], strict=True)]
    if all(result == target for result, target in zip(results, targets, strict=True)):
        return term
    near = all(_near(result, target) for result, target in zip(results, targets, strict=True))
    return applied("exact", term) if near else applied("rounded", term, options=(2,))


def _idle(operator: str, first: Values, second: Values) -> bool:
    """Tell whether an operation changed nothing in any trace: a sum with what was always 0, a product with 1."""
    neutral = 0 if operator in "+-" else 1
    return all(value == neutral for value in second) or (operator in "+*" and all(value == neutral for value in first))


def _computes(operator: str, first: Values, second: Values, targets: Values) -> bool:
    return all(_close(_result(operator, a, b), t) for a, b, t in zip(first, second, targets, strict=True))


def _result(operator: str, left: Value, right: Value) -> float | None:
    a, b = cast(float, left), cast(float, right)
    if operator == "/":
        return a / b if b else None
    return a + b if operator == "+" else a - b if operator == "-" else a * b


def _close(value: float | None, target: Value) -> bool:
    return _near(value, target) or (value is not None and round(value + 1e-9, 2) == target)


def _near(value: float | None, target: Value) -> bool:
    wanted = cast(float, target)
    return value is not None and abs(value - wanted) <= 1e-9 * max(1.0, abs(wanted))


_HUNDRED = constant(100)
_ONE = constant(1)


def _deeper(targets: Values, numbers: Sequence[Found]) -> list[Term]:
    """Two operations over numbers of the request and results, with the constants of percentages."""
    count = len(targets)
    atoms = [*numbers, (_HUNDRED, (100,) * count)]
    found: list[Term] = []
    seen: set[tuple[float, ...]] = set()
    for (left, a), (right, b) in product(atoms, repeat=2):
        for operator in "+-*/":
            if (operator in "+*" and left.code > right.code) or (left is _HUNDRED and right is _HUNDRED):
                continue
            inner = [_result(operator, x, y) for x, y in zip(a, b, strict=True)]
            if any(value is None for value in inner):
                continue
            values_ = tuple(cast(float, value) for value in inner)
            if values_ in seen:
                continue
            seen.add(values_)
            found += _outer(targets, operation(operator, left, right), values_, atoms)
    return _inequivalent(found)


def _outer(targets: Values, inner: Term, seen: Values, atoms: Sequence[Found]) -> list[Term]:
    found: list[Term] = []
    for (term, vector), operator in product(atoms, "+-*/"):
        if term.code in inner.code.split():
            continue
        if not _idle(operator, seen, vector) and _computes(operator, seen, vector, targets):
            found.append(_rounded(operation(operator, inner, term), [seen, vector], operator, targets))
        if operator in "-/" and _computes(operator, vector, seen, targets):
            found.append(_rounded(operation(operator, term, inner), [vector, seen], operator, targets))
    return found


def _inequivalent(terms: Sequence[Term]) -> list[Term]:
    """Drop terms that compute the same as another one: a * b / 100 and a / 100 * b."""
    rng = random.Random(0)  # noqa: S311  # points at which formulas are compared
    names = sorted({name for term in terms for name in _leaves(term.code)})
    points = [{name: rng.uniform(1, 50) for name in names} for _ in range(2)]
    kept: dict[tuple[float, ...], Term] = {}
    for term in sorted(terms, key=lambda term: (len(term.code), term.code)):
        key = tuple(round(_at(term.code, point), 6) for point in points)
        kept.setdefault(key, term)
    return list(kept.values())


def _leaves(code: str) -> list[str]:
    return [part for part in re.split(r" [-+*/] |(?<![\w\]])\(|\)(?!\w)", code) if part and not part.isdigit()]


def _at(code: str, point: Mapping[str, float]) -> float:
    """Compute a formula at a point; its leaves are replaced as a whole."""
    for index, name in enumerate(sorted(point, key=len, reverse=True)):
        code = code.replace(name, f"__{index}")
    names = {f"__{index}": point[name] for index, name in enumerate(sorted(point, key=len, reverse=True))}
    try:
        return float(eval(code, {"__builtins__": {}}, names))  # noqa: S307  # numbers and operators of our own terms
    except (ZeroDivisionError, SyntaxError, NameError, TypeError):
        return hash(code) % 10**9


def _dict(targets: Sequence[Mapping[str, Value]], atoms: Atoms) -> Origin:
    keys = list(targets[0])
    if any(list(target) != keys for target in targets):
        return Unexplained("records with different keys")
    parts: dict[str, Term] = {}
    for key in keys:
        part = explain(tuple(target[key] for target in targets), atoms)
        if isinstance(part, Unexplained):
            return Unexplained(f"{key}: {part.reason}", part.separating)
        parts[key] = part
    return mapping(parts)


def _list(targets: Sequence[Sequence[Value]], atoms: Atoms) -> Origin:
    wanted = tuple(list(target) for target in targets)
    pool = [*atoms.lists, *atoms.filtered]
    found = [term for term, seen in pool if _same_lists(seen, wanted)]
    for term, seen in pool:
        for key in _row_keys(seen):
            columned = applied("column", term, options=(key,))
            if (vector := values(columned, atoms.views)) is not None and _same_lists(vector, wanted):
                found.append(columned)
    if found:
        return resolve(found, atoms.views)
    if len({len(target) for target in targets}) > 1:
        return Unexplained(f"nothing seen explains the lists {_shown(wanted)}")
    parts = [explain(tuple(target[i] for target in targets), atoms) for i in range(len(targets[0]))]
    wrong = next((part for part in parts if isinstance(part, Unexplained)), None)
    return wrong or sequence([part for part in parts if isinstance(part, Term)])


def _row_keys(seen: Values) -> list[str]:
    rows = [row for value in seen if isinstance(value, list) for row in value]
    records = [row for row in rows if isinstance(row, dict)]
    return (
        [key for key in records[0] if all(key in r for r in records)] if records and len(records) == len(rows) else []
    )


def _same_lists(seen: Values, wanted: Sequence[Sequence[Value]]) -> bool:
    return all(
        isinstance(left, list) and len(left) == len(right) and all(map(same, left, right))
        for left, right in zip(seen, wanted, strict=True)
    )


def _table(targets: Sequence[str], atoms: Atoms, hints: Hints) -> Origin | None:
    """A dictionary from words of the request to the values seen with them, where the words were seen to decide.

    Any words that differ whenever the values do would fit. So either each word is akin to its value, or each pair was
    seen twice and no other place of the request fits as well.
    """
    fitting = [
        (entries, term, counts)
        for term, seen in atoms.strings
        if term.family == "request" and term.size == 1 and (read := _entries(seen, targets))
        for entries, counts in [read]
        if not any(hints.words.get(key, value) != value for key, value in entries.items())
    ]
    kin = [found for found in fitting if all(_kin(key, value, hints) for key, value in found[0].items())]
    if len(kin) != 1:
        repeated = [found for found in fitting if all(count >= 2 for count in found[2].values())]
        kin = repeated if len(fitting) == 1 and not kin else []
    if not kin or any(_looks_like_id(str(value)) for value in kin[0][0].values()):
        return None
    entries, term, _ = kin[0]
    return table({**entries, **{word: value for word, value in hints.words.items() if word not in entries}}, term)


def _said(targets: Values, atoms: Atoms, hints: Hints) -> Term | None:
    """Return the dictionary for a value that was always the same, where one place says it in words that are known."""
    if not hints.words or any(target != targets[0] for target in targets):
        return None
    words = {word for word, value in hints.words.items() if value == targets[0]}
    fitting = [
        term
        for term, seen in atoms.strings
        if term.family == "request" and term.size == 1 and all(str(value).lower() in words for value in seen)
    ]
    return table(hints.words, fitting[0]) if len(fitting) == 1 else None


def _entries(seen: Values, targets: Sequence[str]) -> tuple[dict[str, Value], dict[str, int]] | None:
    entries: dict[str, Value] = {}
    counts: dict[str, int] = {}
    for key, target in zip(seen, targets, strict=True):
        word = str(key).lower()
        if entries.setdefault(word, target) != target:
            return None
        counts[word] = counts.get(word, 0) + 1
    return (entries, counts) if len(entries) > 1 else None


def _kin(key: str, value: Value, hints: Hints) -> bool:
    return key in hints.words or akin(key, str(value))


def akin(left: str, right: str) -> bool:
    """Tell whether two texts share a stem of four letters or more: "engaged users" and "user_engaged"."""
    stems = [{word[:4] for word in re.findall(r"[a-z]{4,}", text.casefold())} for text in (left, right)]
    return bool(stems[0] & stems[1])


def _looks_like_id(value: str) -> bool:
    return sum(character.isdigit() for character in value) >= 3


def _text(targets: Sequence[str], atoms: Atoms) -> Origin | None:
    """Literal texts and values between them."""
    parts = _parts(list(targets), atoms, [atom for atom in atoms.texts if all(len(str(v)) > 0 for v in atom[1])], 0)
    if parts is None or not any(isinstance(part, Term) for part in parts):
        return None
    try:
        return joined(parts)
    except Unknown:
        return None


_Parts: TypeAlias = "list[Term | str]"


def _parts(rests: Sequence[str], atoms: Atoms, pool: Sequence[Found], depth: int) -> _Parts | None:
    if all(rest == rests[0] for rest in rests):
        return None if _undated_text(rests[0]) else [rests[0]] if rests[0] else []
    if depth > 8:
        return None
    prefix = _common_prefix(rests)
    for at in range(len(prefix), -1, -1):
        if _undated_text(prefix[:at]):
            continue
        for matching in _matching([rest[at:] for rest in rests], pool, whole_word=at == len(prefix)):
            lengths = [len(str(value)) for value in matching[0][1]]
            tail = _parts([rest[at + n :] for rest, n in zip(rests, lengths, strict=True)], atoms, pool, depth + 1)
            origin = resolve([term for term, _ in matching], atoms.views) if tail is not None else None
            if tail is not None and isinstance(origin, Term):
                return [*([prefix[:at]] if at else []), origin, *tail]
    return None


def _common_prefix(texts: Sequence[str]) -> str:
    low, high = min(texts), max(texts)
    length = next((i for i, character in enumerate(low) if i >= len(high) or character != high[i]), len(low))
    return low[:length]


def _matching(rests: Sequence[str], pool: Sequence[Found], *, whole_word: bool) -> list[list[Found]]:
    """Return the atoms that all the texts begin with, those with the same values together, longest first."""
    found: dict[Values, list[Found]] = {}
    for term, seen in pool:
        texts = [str(value) for value in seen]
        if all(map(str.startswith, rests, texts)) and all(map(_ends_word, rests, texts)):
            found.setdefault(seen, []).append((term, seen))
    return sorted(found.values(), key=lambda group: -sum(len(str(v)) for v in group[0][1]))


def _ends_word(rest: str, text: str) -> bool:
    after = rest[len(text) : len(text) + 1]
    return not (after.isalnum() and text[-1:].isalnum())


def _undated_text(text: str) -> bool:
    return bool(re.search(r"(?<!\d)(19|20)\d\d-", text))


def _unexplained(texts: Sequence[str], atoms: Atoms) -> Unexplained:
    if any(_YEAR.search(text) for text in texts) and "clock" not in atoms.families.values():
        return Unexplained(
            f"{_shown(tuple(texts))} holds a year that is in no request: give the cache a clock (now=...) and the "
            "traces their recorded_at"
        )
    return Unexplained(f"nothing seen explains {_shown(tuple(texts))}")


def _ambiguous(terms: Sequence[Term], views: Sequence[View]) -> Unexplained:
    codes = " and ".join(term.code for term in terms[:2])
    return Unexplained(f"both {codes} fit every trace", _separating(terms[:2], views))


def _separating(terms: Sequence[Term], views: Sequence[View]) -> str:
    """Say which request or result would tell two terms apart."""
    names = sorted(terms[0].sources | terms[1].sources)
    seen = ", ".join(f"{name}={views[0].get(name)!r}" for name in names if name in views[0])
    return f"a trace in which {terms[0].code} and {terms[1].code} differ (all seen are like {seen[:300]})"


def _shown(targets: Values) -> str:
    return ", ".join(repr(value)[:80] for value in targets[:3])


FAMILIES: tuple[Family, ...] = ("request", "result", "clock")
