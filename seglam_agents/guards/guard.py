"""`TemplateGuard`: asks templates whether they accept a request, and with which arguments.

Beyond the whole-request match, four rules that need no template author: one name means one thing (mentions must
agree); two names mean two things; all money is in one currency unless the body looks at it; and a request that can be
read in two ways is declined.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import combinations
from typing import Literal, TypeAlias

from seglam_agents.guards.locales import Notation, is_doubtful
from seglam_agents.guards.narrow import Apart, Narrow, WriteRange
from seglam_agents.guards.normal import NormalText, asks, normalise, words
from seglam_agents.guards.pattern import Pattern, compile_template, prefix_length
from seglam_agents.guards.predicate import Predicate, compile_predicate
from seglam_agents.guards.slots import Slot, slot
from seglam_agents.guards.slots.exports import parse_text
from seglam_agents.guards.slots.letters import stop_words
from seglam_agents.guards.slots.names import is_compound
from seglam_agents.guards.slots.units import convert
from seglam_agents.guards.template import Choice, Elements, SlotMention, common_to, parse_template, walk
from seglam_agents.guards.template import Literal as LiteralText
from seglam_agents.records.errors import SlotError, TemplateError
from seglam_agents.records.procedure import GuardSource, Parameter
from seglam_agents.records.record import Json
from seglam_agents.records.values import Money, Quantity, Value

Stage: TypeAlias = Literal[
    "template",
    "slot",
    "mention",
    "distinct",
    "currency",
    "unit",
    "bounds",
    "unread",
    "ambiguous",
    "context",
    "where",
    "code",
    "question",
    "unlike",
    "words",
]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The guard applies, with these arguments for the body."""

    arguments: Mapping[str, Value]
    template: int = 0
    """Index of the template that matched."""


@dataclass(frozen=True, slots=True)
class Declined:
    """The guard does not apply: at which stage it stopped, and why."""

    stage: Stage
    reason: str


Judgement: TypeAlias = Accepted | Declined


class TemplateGuard:
    """A compiled list of templates; immutable and safe to share between threads.

    Args:
        source: the guard as it is stored.
        context: the parameters that are bound by keys of the request's context.
        mixed_currencies: True where the body looks at the currency of each amount itself.
        mixed_units: True where the body looks at the unit of each quantity itself.
        unread: slots that the body never looks at: words in them may name things, and change nothing.
        seen: requests known to be answered right, with their contexts; what they hold of zero and negative values may
            be asked for.
        notation: how the user's locale writes numbers, dates and money; None for the notation that slots read.
        command: True where a question is no such request: "Cancel order A-1?" asks, and cancels nothing.
        within: how far beyond the numbers seen others may lie, where it takes only what is like the seen; else None.
        wordy: whether a place for words takes more of them than any known request has there.
        apart: whether what differed in every known request has to differ.

    Raises:
        TemplateError: a template cannot be read, or a slot has two types.
        PredicateError: the `where` expression cannot be read.
    """

    def __init__(
        self,
        source: GuardSource,
        *,
        context: Iterable[Parameter] = (),
        mixed_currencies: bool = False,
        mixed_units: bool = False,
        unread: Collection[str] = (),
        seen: Iterable[tuple[str, Mapping[str, Json]]] = (),
        notation: Notation | None = None,
        command: bool = False,
        within: WriteRange | None = None,
        wordy: bool = False,
        apart: bool = False,
    ) -> None:
        self.source = source
        self.patterns = tuple(compile_template(parse_template(template)) for template in source.templates)
        self.slots = _merged_slots(self.patterns)
        self._context = {parameter.name: parameter.slot for parameter in context}
        _check_context_names(self._context, self.slots)
        self._where = _predicate(source.where, {*self.slots, *self._context})
        self._mixed_currencies = mixed_currencies
        self._mixed_units = mixed_units
        self._unread = frozenset(unread)
        self._seen = tuple(seen)
        self._notation = notation
        self._referred = frozenset(
            mention.name for pattern in self.patterns for mention in pattern.groups if mention.again
        )
        self._ranges = frozenset(pair for pattern in self.patterns for pair in _date_ranges(pattern.template.elements))
        self._command = command
        self._wordy = wordy
        self._apart = Apart(self._known) if apart and self._seen else None
        self._narrow = Narrow(self._known, len(self._seen), within) if within else None

    def parameters(self) -> tuple[Parameter, ...]:
        """Return what the guard binds: the slots of the text first, then the context."""
        always = common_to(pattern.template.always() for pattern in self.patterns)
        text = (Parameter(name=name, slot=kind.name, optional=name not in always) for name, kind in self.slots.items())
        context = (Parameter(name=name, slot=kind, source="context") for name, kind in self._context.items())
        return (*text, *context)

    def match(self, text: NormalText, context: Mapping[str, Json] | None = None, *, wordy: bool = False) -> Judgement:
        """Ask every template; several that accept must bind the same arguments.

        Args:
            text: the request.
            context: its typed context.
            wordy: whether it is asked about a request with more words at a place than were ever seen there.
        """
        return self.match_some(range(len(self.patterns)), text, context, wordy=wordy)

    def match_some(
        self,
        which: Iterable[int],
        text: NormalText,
        context: Mapping[str, Json] | None = None,
        *,
        wordy: bool = False,
    ) -> Judgement:
        """Ask the templates with these indexes only (those that an index found)."""
        if self._command and asks(text.original):
            return Declined("question", "it asks, and this procedure changes something")
        accepted: Accepted | None = None
        declined: Declined | None = None
        text = self.read(text)
        for index in which:
            judgement = self._match_one(index, text, context or {})
            if isinstance(judgement, Declined):
                # The template that came furthest explains best.
                declined = judgement if declined is None or declined.stage == "template" else declined
            elif accepted is None:
                accepted = judgement
            elif differing := self._differing(accepted.arguments, judgement.arguments):
                said = f"templates {accepted.template} and {index} bind different arguments"
                return Declined("ambiguous", f"{said}: {differing}")
        if accepted and self._narrow and (problem := self._narrow.problem(accepted.arguments)):
            return Declined("unlike", problem)
        if accepted and self._apart and (problem := self._apart.problem(accepted.arguments)):
            return Declined("unlike", problem)
        if accepted and not (wordy or text.made_up) and (problem := self._wordier(accepted.arguments)):
            return Declined("words", problem)
        return accepted or declined or Declined("template", "no template matches")

    def _differing(self, first: Mapping[str, Value], second: Mapping[str, Value]) -> str:
        """Return which arguments that the body looks at differ; the others answer nothing."""
        differing = [name for name, value in first.items() if name not in self._unread and value != second.get(name)]
        return ", ".join(f"`{name}` is {first[name]!r} or {second.get(name)!r}" for name in differing)

    def read(self, text: NormalText) -> NormalText:
        """Return a text with numbers, dates and money as slots read them, by the user's locale."""
        return self._notation.reads(text) if self._notation else text

    def value_of(self, name: str, text: str) -> Value | None:
        """Return the value of a slot that a text spells when it stands alone; None where it is none."""
        kind, spelt = self.slots[name], normalise(text)
        read = self.read(spelt)
        raw = text if read is spelt or kind.verbatim else read.text
        return _meant(context_value(kind.name, raw), text, spelt, self._notation)

    def explain(self, text: NormalText, context: Mapping[str, Json] | None = None) -> Judgement:
        """Like `match`, but a template that does not match says how far it came. Slower."""
        judgement = self.match(text, context)
        if isinstance(judgement, Accepted) or judgement.stage != "template":
            return judgement
        return Declined("template", max(_progress(pattern, text.text) for pattern in self.patterns)[1])

    def permits(self, arguments: Mapping[str, Value]) -> bool:
        """Tell whether arguments that were not read from a text hold by the same rules."""
        return not (
            self._check_distinct(arguments)
            or self._check_currencies(arguments)
            or self._check_units(arguments)
            or self._check_bounds(arguments)
            or self._check_where(arguments)
            or (self._narrow and self._narrow.problem(arguments))
            or (self._apart and self._apart.problem(arguments))
            or self._wordier(arguments)
        )

    def _wordier(self, arguments: Mapping[str, Value]) -> str | None:
        """Return which argument has more words than any known one: another word before a noun may change the task."""
        if self._wordy or all(_words(value) < 2 for value in arguments.values()):
            return None
        for name, most in self._most_words.items():
            if _words(arguments.get(name)) > most:
                return f"`{name}` is {arguments[name]!r}, and no known request has more than {most} words there"
        return None

    @cached_property
    def _most_words(self) -> Mapping[str, int]:
        """How many words each place for them had at most; looked for only when a request has several at one."""
        places = [name for name, kind in self.slots.items() if kind.name.removeprefix("list(").rstrip(")") in _WORDY]
        known = list(self._known())
        return {
            name: max(found)
            for name in places
            if (found := [words for bound in known if (words := _words(bound.get(name)))])
        }

    def _known(self) -> Iterator[Mapping[str, Value]]:
        """Yield the arguments of the requests that are known to be answered right."""
        for text, context in self._seen:
            read = self.read(normalise(text))
            for index in range(len(self.patterns)):
                judgement = self._match_one(index, read, context)
                if isinstance(judgement, Accepted):
                    yield judgement.arguments

    def _match_one(self, index: int, text: NormalText, context: Mapping[str, Json]) -> Judgement:
        pattern = self.patterns[index]
        bound = _read(pattern, text, self._notation)
        if isinstance(bound, Declined):
            return bound
        arguments: dict[str, Value] = {name: bound.get(name) for name in self.slots}
        declined = (
            self._check_distinct(arguments)
            or self._check_currencies(arguments)
            or self._check_units(arguments)
            or self._check_bounds(arguments)
            or self._check_unread(arguments)
            or self._add_context(arguments, context)
            or self._check_where(arguments)
        )
        return declined or Accepted(arguments, index)

    def _check_distinct(self, arguments: Mapping[str, Value]) -> Declined | None:
        things = [(name, kind) for name, kind in self.slots.items() if kind.name in _THINGS]
        for (first, kind), (second, _) in combinations(things, 2):
            left, right = arguments[first], arguments[second]
            alike = left is not None and right is not None and kind.same(left, right)
            if alike and (first, second) not in self._seen_alike:
                return Declined("distinct", f"`{first}` and `{second}` are both {left!r}: two names mean two things")
        for first, second in combinations(sorted(self.slots), 2):
            kind = self.slots[first]
            if kind.name not in _POINTS or self.slots[second].name != kind.name:
                continue
            left, right = arguments[first], arguments[second]
            # "… on Monday … on Monday … did on Monday": which of the two is meant?
            if left is not None and kind.same(left, right) and self._referred & {first, second}:
                return Declined("distinct", f"`{first}` and `{second}` are both {left!r}, and one is referred to later")
        return None

    def _check_bounds(self, arguments: Mapping[str, Value]) -> Declined | None:
        for name, value in arguments.items():
            if (kind := self.slots.get(name)) and _below(kind, value) and name not in self._seen_below:
                return Declined("bounds", f"`{name}` is {value!r}: zero and less are declined until they were seen")
        for first, last in self._ranges:
            start, end = arguments.get(first), arguments.get(last)
            if isinstance(start, date) and isinstance(end, date) and end < start:
                return Declined("bounds", f"`{first}` to `{last}` ends before it begins")
        return None

    @cached_property
    def _seen_alike(self) -> frozenset[tuple[str, str]]:
        """The pairs of words that were the same in a known request; looked for only when a request has such a pair."""
        names = [name for name, kind in self.slots.items() if kind.name in _WORDS]
        found: set[tuple[str, str]] = set()
        for bound in self._seen_bound():
            for first, second in combinations(names, 2):
                left, right = bound.get(first), bound.get(second)
                if left is not None and right is not None and self.slots[first].same(left, right):
                    found.add((first, second))
        return frozenset(found)

    @cached_property
    def _seen_below(self) -> frozenset[str]:
        """The slots that were zero or less in a known request; looked for only when a request has such a value."""
        return frozenset(
            name for bound in self._seen_bound() for name, value in bound.items() if _below(self.slots[name], value)
        )

    def _seen_bound(self) -> Iterator[Mapping[str, Value]]:
        """Yield what each template reads in each known request, whatever else speaks against it."""
        for pattern in self.patterns:
            for text, _ in self._seen:
                bound = _read(pattern, self.read(normalise(text)), self._notation)
                if not isinstance(bound, Declined):
                    yield bound

    def _check_unread(self, arguments: Mapping[str, Value]) -> Declined | None:
        for name in self._unread:
            value = arguments.get(name)
            kind = self.slots.get(name)
            # A name may be May or Will; other words mean what they say.
            free = kind is not None and kind.open and kind.name not in ("person", "name", "list(person)", "list(name)")
            if free and isinstance(value, str) and not is_compound(value) and (changing := words(value) & _CHANGING):
                return Declined("unread", f"{min(changing)!r} in `{name}`, which the body never looks at")
        return None

    def _check_currencies(self, arguments: Mapping[str, Value]) -> Declined | None:
        currencies = {value.currency for value in arguments.values() if isinstance(value, Money)}
        if len(currencies) > 1 and not self._mixed_currencies:
            return Declined(
                "currency", f"amounts in {' and '.join(sorted(currencies))}, and the body looks at no currency"
            )
        return None

    def _check_units(self, arguments: Mapping[str, Value]) -> Declined | None:
        if self._mixed_units:
            return None
        quantities = [value for value in arguments.values() if isinstance(value, Quantity)]
        for first, second in combinations(quantities, 2):
            if first.unit != second.unit and convert(first, second.unit) is not None:
                return Declined("unit", f"quantities in {first.unit} and {second.unit}, and the body looks at no unit")
        return None

    def _add_context(self, arguments: dict[str, Value], context: Mapping[str, Json]) -> Declined | None:
        if context.keys() != self._context.keys():
            return Declined("context", f"context has {sorted(context)}, the guard expects {sorted(self._context)}")
        for name, kind in self._context.items():
            value = context_value(kind, context[name])
            if value is None:
                return Declined("context", f"context {name!r} cannot be read as {kind}: {context[name]!r}")
            arguments[name] = value
        return None

    def _check_where(self, arguments: Mapping[str, Value]) -> Declined | None:
        if self._where is None or self._where.holds(arguments):
            return None
        return Declined("where", self._where.failing(arguments))


def _words(value: Value) -> int:
    """Return how many words a text, or the longest of a list, has."""
    if isinstance(value, list):
        return max(map(_words, value), default=0)
    return len(value.split()) if isinstance(value, str) else 0


def _below(kind: Slot, value: Value) -> bool:
    """Tell whether an amount that people rarely mean is zero or less."""
    match value:
        case Money(amount=amount):
            return amount <= 0
        case Quantity(value=amount, unit=unit):
            return amount <= 0 and not unit.startswith("degree")
        case timedelta():
            return value <= timedelta(0)
        case int() | float():
            return kind.name in ("count", "percent") and value <= 0
        case _:
            return False


def _date_ranges(elements: Elements) -> Iterator[tuple[str, str]]:
    """Yield the pairs of dates that a template joins as the two ends of a range."""
    found = [element for element in walk(elements) if not isinstance(element, Choice)]
    for index, (first, last) in enumerate(zip(found, found[2:], strict=False)):
        joint = found[index + 1]
        if isinstance(first, SlotMention) and isinstance(last, SlotMention) and isinstance(joint, LiteralText):
            dates = first.slot.name == last.slot.name == "date" and first.name != last.name
            if dates and joint.text.strip().casefold() in _RANGE_JOINTS:
                yield first.name, last.name


_RANGE_JOINTS = ("to", "until", "till", "through", "thru", "-")
_THINGS = ("person", "name", "noun", "word", "phrase", "title")
"""Slots whose values name different things."""
_WORDS = ("word", "phrase", "title")
"""Those of them that may say the same where a known request does: they are no names."""
_WORDY = ("noun", "phrase", "title")
"""Slots for words that are no names."""
_POINTS = ("weekday", "date", "monthday", "month", "time", "ordinal")
"""Types whose values may coincide; a later mention then does not say which is meant."""
_CHANGING = stop_words("changing")
"""Words that change how much, how often or when, and so nothing that a body may leave unread."""

JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
"""Types that a context value may have besides those of the slots."""


def _check_context_names(context: Mapping[str, str], slots: Mapping[str, Slot]) -> None:
    for name, kind in context.items():
        if name in slots:
            raise TemplateError(f"{name!r} is a slot of the text and a key of the context", name, 0)
        if kind not in JSON_TYPES:
            try:
                slot(kind)
            except SlotError as error:
                raise TemplateError(f"context {name!r}: {error}", kind, 0) from error


def context_value(kind: str, value: Value) -> Value:
    """Return a value that did not come from the text as a slot or a JSON type takes it; None where it is none."""
    if kind in ("number", "integer") and isinstance(value, float) and value.is_integer():
        value = int(value)  # As a text is read: a body that writes it down must write 1100, not 1100.0.
    if kind in JSON_TYPES:
        right = isinstance(value, JSON_TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
        return value if right else None
    found = slot(kind)
    if isinstance(value, str) and (read := found.parse(value) or parse_text(kind, value)) is not None:
        return read
    try:
        return found.parse(found.render(value))
    except SlotError:
        return None


def _read(pattern: Pattern, text: NormalText, notation: Notation | None) -> dict[str, Value] | Declined:
    """Bind the slots; of two readings of a request exactly one must hold, or both must be the same."""
    readings = [_bind(pattern, spans, text, notation) for spans in pattern.readings(text.text)]
    # "3 thousand apples" is no 3 of "thousand apples": a reading whose slots do not hold is none.
    bound = [reading for reading in readings if not isinstance(reading, Declined)]
    if len(bound) == 2 and bound[0] != bound[1]:
        return Declined("ambiguous", "the request can be read in two ways")
    return bound[0] if bound else readings[0] if readings else Declined("template", "no template matches")


def _bind(
    pattern: Pattern, spans: Sequence[tuple[int, int]], text: NormalText, notation: Notation | None
) -> dict[str, Value] | Declined:
    bound: dict[str, Value] = {}
    for mention, (start, end) in zip(pattern.groups, spans, strict=True):
        if start < 0:
            continue
        kind = mention.slot
        if kind.name == "number" and text.text[end - 1 : end + 1].isalpha() and end < len(text.text):
            # "2kg" is no 2k of g.
            return Declined("slot", f"{text.text[start:end]!r} cuts a word, for `{mention.name}`")
        raw = text.source(start, end) if kind.verbatim else text.text[start:end]
        value = _meant(kind.parse(raw), raw, text, notation)
        if value is None:
            return Declined("slot", f"{raw!r} cannot be read as {kind.name} for `{mention.name}`")
        known = bound.setdefault(mention.name, value)
        if not kind.same(known, value):
            return Declined("mention", f"`{mention.name}` is {known!r} first and {value!r} later")
    return bound


def _meant(value: Value, raw: str, text: NormalText, notation: Notation | None) -> Value | None:
    """Return a value in the sense of the user's locale, or None where nobody can tell it."""
    if value is None or text.made_up:
        return value
    if notation is not None:
        return notation.own(raw, value, text)
    counted = not isinstance(value, str) and is_doubtful(raw, text)
    return None if counted else value


def _predicate(source: str | None, names: set[str]) -> Predicate | None:
    if source is None or not source.strip():
        return None
    predicate = compile_predicate(source)
    unknown = predicate.names - names
    if unknown:
        raise TemplateError(
            f"`where` uses {sorted(unknown)}, which no slot binds: use the slots of the templates", source, 0
        )
    return predicate


def _merged_slots(patterns: Iterable[Pattern]) -> dict[str, Slot]:
    merged: dict[str, Slot] = {}
    for pattern in patterns:
        for name, kind in pattern.template.slots().items():
            known = merged.setdefault(name, kind)
            if known.name != kind.name:
                source = pattern.template.source
                raise TemplateError(
                    f"slot {name!r} is {known.name} in one template and {kind.name} in another: give one another name",
                    source,
                    source.find(name),
                )
    return merged


def _progress(pattern: Pattern, text: str) -> tuple[int, str]:
    count, end = prefix_length(pattern.template, text)
    elements = pattern.template.elements
    if count >= len(elements):
        return end, f"matched up to {_tail(text[:end])!r}, then the request goes on: {text[end : end + 40]!r}"
    match elements[count]:
        case LiteralText(text=literal):
            agreed = _agreement(literal, text[end:])
            at = end + agreed
            return (
                at,
                f"matched up to {_tail(text[:at])!r}, then expected {literal[agreed : agreed + 40]!r}, "
                f"found {text[at : at + 40]!r}",
            )
        case SlotMention(name=name, slot=kind):
            return (
                end,
                f"matched up to {_tail(text[:end])!r}, then {{{name}:{kind.name}}} found {text[end : end + 40]!r}",
            )
        case _:
            return end, f"matched up to {_tail(text[:end])!r}, then no alternative fits {text[end : end + 40]!r}"


def _agreement(literal: str, text: str) -> int:
    folded, other = literal.casefold(), text.casefold()
    return next(
        (i for i, (a, b) in enumerate(zip(folded, other, strict=False)) if a != b), min(len(folded), len(other))
    )


def _tail(text: str) -> str:
    return text if len(text) <= 40 else "…" + text[-40:]
