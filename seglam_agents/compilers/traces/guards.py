"""The guard of a kind: its wordings as templates, with slots no wider than what the runs support."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from seglam_agents.compilers.traces.plan import Node, calls_of, lists_of, scenes_before, terms_of
from seglam_agents.compilers.traces.spans import WORDS, Reading
from seglam_agents.compilers.traces.terms import FUNCTIONS, Term, Unknown
from seglam_agents.guards.slots.exports import parse_text
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.tools import Tool
from seglam_agents.records.values import Value

OPEN_KINDS = ("person", "name", "noun", "phrase")
"""Slot types of words that nobody listed, narrowest first."""
CONFIRMED_KINDS = (*OPEN_KINDS, "title")
"""The same for words that a result has to say again."""
FOUND_KINDS = ("person", "name")
"""The same for words that a read has to find something for."""
SHARED = 3
"""Values of a place that must have led to the same before it may be ignored."""


class Unguarded(SeglamError):
    """No guard is safe for these requests; says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What runs had at one place: its slot type or `words`, and what stood there in each run."""

    name: str
    kind: str
    texts: tuple[str, ...]
    values: tuple[Value, ...]
    outcomes: tuple[str, ...]
    """What each run did and answered, as one key."""

    @property
    def distinct(self) -> list[str]:
        """The different texts, the newest spelling of each."""
        return list({text.casefold(): text for text in self.texts}.values())


def slots_of(places: Sequence[Asked], plan: Node, tools: Mapping[str, Tool], writes: frozenset[str]) -> dict[str, str]:
    """Return the slot type of each place; a place that always said the same and decides nothing is left out.

    Raises:
        Unguarded: something varies that nothing explains, or no slot type reads what was seen.
    """
    acts = any(call.tool in writes for call in calls_of(plan))
    used = {name for term in terms_of(plan) for name in term.sources}
    slots: dict[str, str] = {}
    opened = False
    for place in sorted(places, key=lambda place: -len(place.distinct)):
        if place.name not in used:
            if kind := _ignored(place, acts=acts):
                slots[place.name] = kind
        elif place.kind != WORDS:
            slots[place.name] = "count" if place.kind == "number" and _whole(place.values) else place.kind
        else:
            kind = _words(place, plan, tools, writes, opened)
            opened = opened or (is_open(kind) and not confirmed_by(place.name, plan, writes))
            slots[place.name] = kind
    return {place.name: slots[place.name] for place in places if place.name in slots}


def is_open(slot: str) -> bool:
    """Tell whether a slot for words takes others than those seen."""
    return bool(slot) and not slot.startswith("choice(")


def template_of(reading: Reading, names: Sequence[str], slots: Mapping[str, str]) -> str:
    """Return a wording as a template; places without a slot stay as they were said."""
    parts = [_literal(reading.literals[0])]
    known: set[str] = set()
    for name, place, literal in zip(names, reading.places, reading.literals[1:], strict=True):
        mention = f"{{{name}}}" if name in known else f"{{{name}:{slots.get(name)}}}"
        parts += [mention if name in slots else _literal(place.text), _literal(literal)]
        known.add(name)
    return "".join(parts).strip()


def confirmed_by(name: str, plan: Node, writes: frozenset[str]) -> list[str]:
    """Return the results that say what stands at a place, in every run and before anything is written or answered."""
    scenes = scenes_before(plan, writes)
    found: list[str] | None = None
    for scene in scenes:
        results = [other for other, family in scene.families.items() if family == "result"]
        telling = [
            other
            for other in results
            if all(FUNCTIONS["tells"](view[other], view[name]) for view in scene.views if isinstance(view[name], str))
        ]
        found = telling if found is None else [each for each in found if each in telling]
    return found or []


def found_by(name: str, plan: Node, writes: frozenset[str]) -> bool:
    """Tell whether a read takes what stands at a place as it is, and what it finds goes into a later call."""
    calls = calls_of(plan)
    looked_up = [
        call.name
        for call in calls
        if call.tool not in writes
        and any(name in (t.code, *(rival.code for rival in t.rivals)) for t in call.arguments.values())
    ]
    later = frozenset[str]().union(*(term.sources for call in calls for term in call.arguments.values()))
    later = later.union(*(over.sources for over in lists_of(plan)))
    return any(result in later for result in looked_up)


def _whole(values: Sequence[Value]) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values)


def _ignored(place: Asked, *, acts: bool) -> str | None:
    """Return the slot type of a place that nothing looks at; None where it always said the same."""
    if len(place.distinct) == 1:
        return None
    shown = ", ".join(repr(text) for text in place.distinct)[:200]
    sharing = max(len({t for t, o in zip(place.texts, place.outcomes, strict=True) if o == w}) for w in place.outcomes)
    if acts or place.kind == WORDS or sharing < SHARED:
        raise Unguarded(f"nothing says what {shown} is for: a run where it makes a difference is needed")
    return place.kind


def _words(place: Asked, plan: Node, tools: Mapping[str, Tool], writes: frozenset[str], opened: bool) -> str:
    if _decides(place.name, plan):
        return _choice(place.distinct)
    if enumerated := _enumerated(place.name, plan, tools):
        known = {text.casefold() for text in place.distinct}
        return _choice([*place.distinct, *(word for word in enumerated if word.casefold() not in known)])
    confirmed = bool(confirmed_by(place.name, plan, writes))
    acts = any(call.tool in writes for call in calls_of(plan))
    found = found_by(place.name, plan, writes)
    if len(place.distinct) >= 2 and (confirmed or found or not (acts or opened)):
        # One word that a read looks for as it is, and finds something by that is needed: no clause is one.
        single = (
            (*FOUND_KINDS, "noun") if found and all(len(text.split()) == 1 for text in place.texts) else FOUND_KINDS
        )
        kinds = CONFIRMED_KINDS if confirmed else single if acts or opened else OPEN_KINDS
        for kind in kinds:
            if all(parse_text(kind, text) is not None for text in place.texts):
                return kind
    return _choice(place.distinct)


def _choice(options: Sequence[str]) -> str:
    if any(character in option for option in options for character in "()|{}[]\\"):
        raise Unguarded(f"no slot type reads {', '.join(map(repr, options[:3]))}")
    return f"choice({'|'.join(options)})"


def _decides(name: str, plan: Node) -> bool:
    """Tell whether the plan goes different ways for different words."""
    return any(f"{name} == " in term.code or f"{name} in " in term.code for term in terms_of(plan))


def _enumerated(name: str, plan: Node, tools: Mapping[str, Tool]) -> list[str]:
    """Return the words that a closed set of a tool's schema allows at a place."""
    found: list[str] = []
    for call in calls_of(plan):
        tool = tools.get(call.tool)
        for argument, term in call.arguments.items():
            if tool and term.sources == frozenset((name,)):
                allowed = (value for value in tool.choices(argument) if isinstance(value, str))
                found += [word for value in allowed for word in _spellings(name, term, value)]
    return list(dict.fromkeys(found))


def _spellings(name: str, term: Term, value: str) -> Iterator[str]:
    for spelling in (" ".join(value.casefold().split("_")), value.casefold(), value):
        try:
            if term({name: spelling}) == value:
                yield spelling
                return
        except Unknown:
            continue


def _literal(text: str) -> str:
    return "".join(f"\\{character}" if character in "()[]{}|\\" else character for character in text)
