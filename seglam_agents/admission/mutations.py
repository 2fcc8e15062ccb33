"""Mutations of a request that change what it asks for, and the judge of a guard that does not notice.

`mutations` knows the text alone, never the guard, so that a guard cannot be written around it: it inserts clauses,
negates, swaps, and changes one word, number, unit or currency at a time. `ignored` asks the guard about each: whatever
it accepts with the same arguments as before would get the old answer to a new question.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations, islice, zip_longest
from typing import Literal, NamedTuple, TypeAlias

from seglam_agents.guards import wordings
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.slots.names import same_noun
from seglam_agents.guards.slots.unit_table import SPELLINGS
from seglam_agents.guards.wordings import cased_like, is_content
from seglam_agents.records.values import Value, as_number

MutationKind: TypeAlias = Literal[
    "insert clause",
    "negate",
    "swap entities",
    "replace mention",
    "change unit",
    "change currency",
    "change word",
    "change number",
    "second request",
]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A request that asks for something else than the one it was made from."""

    kind: MutationKind
    text: str
    """The mutated request."""
    change: str
    """For people: `'friends' -> 'purple'`, `inserted ', except 2 of them,'`."""
    added: str = ""
    """The words that are new."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A mutation that the guard did not notice, and what its author can do about it."""

    mutation: Mutation
    reason: str


def mutations(text: str, rng: random.Random, *, limit: int = 120) -> list[Mutation]:
    """Return changed requests, all different after `normalise`, spread evenly over the kinds that the text allows.

    Args:
        text: the request as it was written.
        rng: decides which changes are made; the same state gives the same list.
        limit: how many are returned at most.
    """
    queues = [_drafts(kind, text, rng) for kind in _MAKERS]
    seen = {_key(text)}
    found: list[Mutation] = []
    for draft in (draft for row in zip_longest(*queues) for draft in row if draft is not None):
        if len(found) >= limit:
            break
        mutation = draft.mutation(text)
        if (key := _key(mutation.text)) not in seen:
            seen.add(key)
            found.append(mutation)
    return found


def ignored(
    accepts: Callable[[str], Mapping[str, Value] | None],
    text: str,
    rng: random.Random,
    *,
    limit: int = 120,
    unread: Collection[str] = (),
    every_word: bool = False,
) -> tuple[int, list[Ignored]]:
    """Return how many mutations were tried, and those that the guard did not notice.

    Args:
        accepts: the guard: returns its arguments for a text, or None where it declines.
        text: a request that the guard accepts. Where it does not, there is nothing to try.
        rng: decides which mutations are made.
        limit: how many are tried at most.
        unread: arguments that the body never looks at. They may name another thing, but notice nothing else.
        every_word: also leave out and replace each word and put one into each gap: for a guard that is code, which
            may skip what a template would have to spell out.
    """
    before = accepts(text)
    if before is None:
        return 0, []
    tried = mutations(text, rng, limit=limit)
    if every_word:
        tried += [draft.mutation(text) for draft in _every_word(text)]
    reasons = ((mutation, _judge(mutation, before, accepts(mutation.text), frozenset(unread))) for mutation in tried)
    return len(tried), [Ignored(mutation, reason) for mutation, reason in reasons if reason]


# The judge


def _judge(
    mutation: Mutation, before: Mapping[str, Value], after: Mapping[str, Value] | None, unread: frozenset[str]
) -> str | None:
    """Return why an answer of the guard is wrong, or None."""
    if after is None:
        return None
    changed = {name: value for name, value in after.items() if name not in before or not _equal(before[name], value)}
    read = [value for name, value in changed.items() if name not in unread]
    if not changed and before.keys() == after.keys():
        return f"accepted with the same arguments after a change ({mutation.change}): {_UNCHANGED[mutation.kind]}"
    if mutation.kind in _TO_DECLINE and not any(_carries(value, mutation.added) for value in read):
        return f"accepted after a change ({mutation.change}) that no argument carries as text: {_CHANGED}"
    if mutation.kind in _TO_COMPUTE and changed and not read:
        names = ", ".join(f"`{name}`" for name in changed)
        return f"accepted after a change ({mutation.change}), but `run` never looks at {names}: {_UNREAD}"
    return None


def _equal(left: Value, right: Value) -> bool:
    """Tell whether two arguments are the same; unlike answers, $5 and €5 are not."""
    if isinstance(left, str) and isinstance(right, str):
        return " ".join(left.split()).casefold() == " ".join(right.split()).casefold()
    return type(left) is type(right) and left == right


def _carries(value: Value, added: str) -> bool:
    """Tell whether a text in a value contains the words that were added."""
    if isinstance(value, str):
        return f" {_words_of(added)} " in f" {_words_of(value)} "
    if isinstance(value, Mapping):
        return any(_carries(item, added) for item in value.values())
    return isinstance(value, Sequence) and any(_carries(item, added) for item in value)


def _words_of(text: str) -> str:
    return " ".join(re.findall(r"\w+", _key(text)))


_TO_DECLINE = frozenset(("insert clause", "negate", "second request", "replace mention"))
_TO_COMPUTE = frozenset(("change number", "change unit", "change currency"))
_UNREAD = "use it, or spell out what does not matter"
_CHANGED = (
    "a slot took in something else than it is meant for, or part of the request is skipped."
    " Match the whole request, with slot types that are as narrow as the values"
)
_UNCHANGED: Mapping[MutationKind, str] = {
    "insert clause": (
        "the guard skips text. Spell out every word of the request up to its end; capture what may vary with a slot"
    ),
    "negate": "the guard ignores a negation. Spell out the words around it, so that `not` or `no` is a miss",
    "swap entities": (
        "the guard ignores who or what stands where. Capture each with a slot of its own, as in"
        " `{first:person} … {second:person}`, or spell it out"
    ),
    "replace mention": (
        "the guard ignores who is meant at that place. Write the further mention as `{name}` of the same slot"
    ),
    "change unit": "the guard ignores the unit. Capture it with `{d:quantity}` or `{u:unit}`, or spell it out",
    "change currency": "the guard ignores the currency. Capture the amount with `{x:money}`, or spell the currency out",
    "change word": "the guard ignores that word. Spell it out, or capture it with a slot such as `{w:choice(a|b)}`",
    "change number": "the guard ignores that number. Capture it with a slot such as `{n:count}`, or spell it out",
    "second request": (
        "the guard answers the first of two requests. Match the request up to its end, without room for more"
    ),
}


# What is changed


class _Draft(NamedTuple):
    """A mutation before its text is put together."""

    rank: int
    """Lower ones are tried first."""
    kind: MutationKind
    edits: tuple[tuple[int, int, str], ...]
    change: str
    added: str

    def mutation(self, text: str) -> Mutation:
        pieces: list[str] = []
        position = 0
        for start, end, new in self.edits:
            pieces += (text[position:start], new)
            position = end
        return Mutation(self.kind, "".join((*pieces, text[position:])), self.change, self.added)


class _Token(NamedTuple):
    """A piece of the request with its place."""

    text: str
    start: int
    end: int


_Maker: TypeAlias = Callable[[str, random.Random], Iterable[_Draft]]


def _drafts(kind: MutationKind, text: str, rng: random.Random) -> list[_Draft]:
    drafts = list(_MAKERS[kind](text, rng))
    rng.shuffle(drafts)
    return sorted(drafts, key=lambda draft: draft.rank)


def _replacement(kind: MutationKind, token: _Token, new: str, rank: int = 0) -> _Draft:
    return _Draft(rank, kind, ((token.start, token.end, new),), f"{token.text!r} -> {new!r}", new)


def _insertion(kind: MutationKind, position: int, new: str, words: str, rank: int = 0) -> _Draft:
    return _Draft(rank, kind, ((position, position, new),), f"inserted {new.strip()!r}", words)


def _clauses(text: str, rng: random.Random) -> Iterator[_Draft]:
    """Insert each clause at each place, each sentence before and after the last one, a few words after each word."""
    tokens = [token for token in _words(text) if is_content(token.text)]
    for token in tokens:
        # The last word is where people add something.
        for words in wordings.MODIFIERS if token is tokens[-1] else (rng.choice(wordings.MODIFIERS),):
            yield _insertion("insert clause", token.end, f" {words}", words, rank=1)
    for position, shape in _clause_places(text):
        for rank, clause in enumerate(rng.sample(wordings.CLAUSES, len(wordings.CLAUSES))):
            yield _insertion("insert clause", position, shape.format(clause), clause, rank)
    last = _sentences(text)[-1:]
    for rank, sentence in enumerate(rng.sample(wordings.SENTENCES, len(wordings.SENTENCES))):
        for place in last:
            yield _insertion("insert clause", place.start, f"{sentence} ", sentence, rank)
            shape = " {}" if place.text.endswith((".", "!", "?")) else ". {}"
            yield _insertion("insert clause", place.end, shape.format(sentence), sentence, rank)


def _clause_places(text: str) -> Iterator[tuple[int, str]]:
    """Yield where a clause may be put, and with which commas around it."""
    yield len(text) - len(text.lstrip()), "{}, "
    for sentence in _sentences(text):
        yield sentence.start + len(sentence.text.rstrip(".?! ")), ", {}"
    for comma in re.finditer(r", ", text):
        yield comma.end(), "{}, "
    for gap in _BEFORE_PREPOSITION.finditer(text):
        yield gap.start(), ", {},"


def _negations(text: str, rng: random.Random) -> Iterator[_Draft]:
    """Put "not" after auxiliaries, "do not" or "never" before imperatives, "no" before nouns."""
    starts = {sentence.start for sentence in _sentences(text)}
    tokens = _words(text)
    for index, token in enumerate(tokens):
        word = token.text.lower()
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if word in wordings.AUXILIARIES and (token.text.islower() or token.start in starts):
            yield _insertion("negate", token.end, " not", "not")
        elif _is_imperative(text, token, token.start in starts):
            yield from _denied(token, ("Do not", "Never") if token.start in starts else ("do not", "never"))
        elif following and word in wordings.DETERMINERS and is_content(following.text):
            yield _replacement("negate", token, cased_like("no", token.text))
        elif following and word in wordings.BEFORE_NOUNS and following.text.islower() and is_content(following.text):
            yield _insertion("negate", token.end, " no", "no")


def _denied(verb: _Token, denials: tuple[str, ...]) -> Iterator[_Draft]:
    for denial in denials:
        new = f"{denial} {verb.text.lower()}"
        yield _Draft(0, "negate", ((verb.start, verb.end, new),), f"{verb.text!r} -> {new!r}", denial)


def _is_imperative(text: str, token: _Token, starts_sentence: bool) -> bool:
    if token.text.lower() in wordings.IMPERATIVES:
        return starts_sentence or bool(_BEFORE_IMPERATIVE.search(_before(text, token)))
    return starts_sentence and is_content(token.text) and bool(_OBJECT.match(text, token.end))


def _swaps(text: str, rng: random.Random) -> Iterator[_Draft]:
    """Exchange two names, two numbers, or two words that a small word joins, everywhere."""
    names, numbers, words = _entities(text), _numbers(text), _words(text)
    for tokens in (names, numbers):
        different = list(dict.fromkeys(token.text for token in tokens))
        for left, right in islice(combinations(rng.sample(different, len(different)), 2), _MAX_PAIRS):
            if not _one_number(left, right) and not (tokens is numbers and _one_date(text, left, right)):
                yield _exchange(tokens, left, right, rank=0)
    for left, joint, right in zip(words, words[1:], words[2:], strict=False):
        gap = text[left.end : joint.start] + text[joint.end : right.start]
        if joint.text.lower() in _JOINTS and gap == "  " and _exchangeable(left.text, right.text):
            yield _exchange(words, left.text, right.text, rank=1)


def _one_number(left: str, right: str) -> bool:
    """Tell whether two numbers are one in two spellings, "9" and "9.0": exchanging them changes nothing."""
    first, second = as_number(left), as_number(right)
    return first is not None and first == second


def _one_date(text: str, left: str, right: str) -> bool:
    """Tell whether two numbers are parts of one date in digits, which may be the same day when they change places."""
    return any({left, right} <= set(re.findall(r"[0-9]+", date[0])) for date in _DATE.finditer(text))


def _exchangeable(left: str, right: str) -> bool:
    return is_content(left) and is_content(right) and left.lower() != right.lower()


def _exchange(tokens: Iterable[_Token], left: str, right: str, rank: int) -> _Draft:
    other = {left: right, right: left}
    edits = tuple((token.start, token.end, other[token.text]) for token in tokens if token.text in other)
    return _Draft(rank, "swap entities", edits, f"{left!r} <-> {right!r}", "")


def _mentions(text: str, rng: random.Random) -> Iterator[_Draft]:
    """Give an entity that is mentioned several times another name at one place."""
    entities = _entities(text)
    counts = Counter(entity.text for entity in entities)
    seen: Counter[str] = Counter()
    fresh = [name for name in wordings.NAMES if name.lower() not in text.lower()] or ["Xanthippe"]
    for entity in entities:
        seen[entity.text] += 1
        if counts[entity.text] > 1:
            draft = _replacement("replace mention", entity, rng.choice(fresh))
            yield draft._replace(change=f"{draft.change} at mention {seen[entity.text]}")


def _units(text: str, rng: random.Random) -> Iterator[_Draft]:
    """Change each unit to others of the same dimension."""
    for match in _UNIT.finditer(text):
        token = _Token(match[0], match.start(), match.end())
        after_number = bool(_AFTER_NUMBER.search(_before(text, token)))
        for rank, new in enumerate(wordings.other_units(token.text, after_number=after_number)):
            yield _replacement("change unit", token, new, rank)


def _currencies(text: str, rng: random.Random) -> Iterator[_Draft]:
    """Change each currency sign, code or word."""
    for match in _CURRENCY.finditer(text):
        token = _Token(match[0], match.start(), match.end())
        after_number = bool(_AFTER_NUMBER.search(_before(text, token)))
        for rank, new in enumerate(wordings.other_currencies(token.text, after_number=after_number)):
            yield _replacement("change currency", token, new, rank)


def _changed_words(text: str, rng: random.Random) -> Iterator[_Draft]:
    """Change each word to its opposites, and each content word to one that has nothing to do with the request."""
    present = {token.text.lower() for token in _words(text)}
    # The plural of a noun that is said is related: templates take both.
    unrelated = [word for word in wordings.UNRELATED if not any(same_noun(word, other) for other in present)]
    unrelated = unrelated or ["xylophone"]
    for token in _words(text):
        for rank, word in enumerate(wordings.opposites(token.text)[:3]):
            yield _replacement("change word", token, cased_like(word, token.text), rank)
        if is_content(token.text):
            yield _replacement("change word", token, cased_like(rng.choice(unrelated), token.text), rank=1)


def _changed_numbers(text: str, rng: random.Random) -> Iterator[_Draft]:
    """Change each number, in digits or in words."""
    for token in _numbers(text):
        for rank, step in enumerate((rng.randint(1, 9), rng.randint(10, 80))):
            yield _replacement("change number", *_moved(text, token, step), rank)
    for token in _words(text):
        if new := wordings.NUMBER_WORDS.get(token.text.lower()):
            yield _replacement("change number", token, cased_like(new, token.text))


def _moved(text: str, token: _Token, step: int) -> tuple[_Token, str]:
    """Return a larger number in the same spelling: leading zeros, thousands, decimals and the ending of an ordinal."""
    digits = token.text
    if len(digits) > _LONG_NUMBER:
        return token, digits[:-1] + str((int(digits[-1]) + 1 + step % 9) % 10)
    if digits.isdigit() and digits.startswith("0") and len(digits) > 1:
        return token, str((int(digits) + step) % 10 ** len(digits)).zfill(len(digits))
    value = Decimal(digits.replace(",", "")) + step
    new = f"{value:,}" if "," in digits else str(value)
    ordinal = _ORDINAL_END.match(text, token.end)
    if ordinal is None:
        return token, new
    return _Token(digits + ordinal[0], token.start, ordinal.end()), new + _ordinal_end(int(value))


def _ordinal_end(value: int) -> str:
    return "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")


def _every_word(text: str) -> Iterator[_Draft]:
    """Leave out each word, replace it by one that is about nothing here, and put such a word into each gap."""
    unrelated = next(word for word in (*wordings.UNRELATED, "xylophone") if word not in text.lower())
    for token in _found(_TOKEN, text):
        yield _Draft(0, "change word", ((token.start, token.end, ""),), f"left out {token.text!r}", "")
        yield _replacement("change word", token, unrelated)
        yield _insertion("insert clause", token.end, f" {unrelated}", unrelated)


def _second_requests(text: str, rng: random.Random) -> Iterator[_Draft]:
    """Append another request, joined by "and" or as a sentence of its own."""
    bare = text.rstrip(" .?!\n")
    final = text[len(bare) :].strip()
    for request in wordings.SECOND_REQUESTS:
        new = f"{final or '.'} {request}" if request[0].isupper() else f" {request}{final}"
        edit = (len(bare), len(text), new)
        yield _Draft(0, "second request", (edit,), f"appended {request!r}", request)


_MAKERS: Mapping[MutationKind, _Maker] = {
    "insert clause": _clauses,
    "negate": _negations,
    "swap entities": _swaps,
    "replace mention": _mentions,
    "change unit": _units,
    "change currency": _currencies,
    "change word": _changed_words,
    "change number": _changed_numbers,
    "second request": _second_requests,
}


# Where things stand in a request


def _key(text: str) -> str:
    return normalise(text).text.casefold()


def _found(pattern: re.Pattern[str], text: str) -> list[_Token]:
    return [_Token(match[0], match.start(), match.end()) for match in pattern.finditer(text)]


def _words(text: str) -> list[_Token]:
    return _found(_WORD, text)


def _numbers(text: str) -> list[_Token]:
    return _found(_NUMBER, text)


def _sentences(text: str) -> list[_Token]:
    return _found(_SENTENCE, text)


def _entities(text: str) -> list[_Token]:
    """Return the runs of capitalised words that may be names."""
    found: list[_Token] = []
    for token in _found(_CAPITALISED, text):
        first, _, rest = token.text.partition(" ")
        if not _is_ordinary(first):
            found.append(token)
        elif rest:
            found.append(_Token(rest, token.start + len(first) + 1, token.end))
    return found


def _before(text: str, token: _Token) -> str:
    """Return the word or so before a token: enough to see a number or a "please"."""
    return text[max(0, token.start - 12) : token.start]


def _is_ordinary(word: str) -> bool:
    known = (wordings.ORDINARY_STARTS, wordings.AUXILIARIES, wordings.IMPERATIVES, wordings.NUMBER_WORDS)
    return any(word.lower() in words for words in known)


_MAX_PAIRS = 40
_TOKEN = re.compile(r"\w+(?:['’]\w+)?")
_LONG_NUMBER = 20
"""Digits from which on a number is rather an identifier, and exact arithmetic ends."""
_JOINTS = frozenset(("and", "or", "to", "than", "from", "versus", "vs", "by", "over", "minus"))
_WORD = re.compile(r"[^\W\d_]+(?:['’](?!s\b)[^\W\d_]+)*")
_NAME = r"[A-ZÀ-ÞİŞĞČŠŽŁŚ][^\W\d_]*(?!\w|[-#/_]\d)"
_CAPITALISED = re.compile(rf"\b{_NAME}(?: {_NAME})*")
"""The letters that an id begins with are no name: K57 and K65 mention nobody twice."""
_NUMBER = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?")
_DATE = re.compile(r"(?<![0-9])[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{1,4}(?![0-9])")
_SENTENCE = re.compile(r"\S(?:.*?[.?!](?=\s+[^a-z\s])|.*\S|)", re.DOTALL)
_ORDINAL_END = re.compile(r"(?:st|nd|rd|th)\b")
_BEFORE_PREPOSITION = re.compile(r"(?<=\w)(?= (?:among|between|for|to|in|on|with|by|from|of|at|and|into|than) )")
_BEFORE_IMPERATIVE = re.compile(r"(?:\b(?:please|you|then|and)|,) $", re.IGNORECASE)
_OBJECT = re.compile(r" (?:(?:a|an|the|me|my|all|this|that|each|every|it|us|our)\b|[0-9\"'$€£#])")
_AFTER_NUMBER = re.compile(rf"(?:[0-9]|\b(?:{'|'.join(wordings.NUMBER_WORDS)}|half))[ -]?$", re.IGNORECASE)
_UNIT = re.compile(
    rf"(?<![^\W\d]|')(?:{'|'.join(re.escape(name) for name in sorted(SPELLINGS, key=len, reverse=True))})(?![^\W_]|')",
    re.IGNORECASE,
)
_CURRENCY = re.compile(r"(?:(?:US|AU?|CA?|NZ|HK|R|S)(?=\$))?[$€£¥₹₺₩₽₪₫₱฿₦₴¢]|[^\W\d_]+")
