"""Whether a request of a conversation may be looked up by its text alone: whether all before it is done with.

A message is done with where a guard accepts the whole of it, which accounts for every word, and where it lays nothing
down for later ones; or where it only greets. After such messages a request stands for itself where no word of it points
back, and where each value that was named before has one of the same sort in it. Where values were named that it has
none for ("is Luigi's open on Friday?", "book a table for 4"), they may be meant without being said: runs have to show
that they are not, which are conditions of their own (`ReasoningCache.later`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from seglam_agents.guards.guard import Accepted, TemplateGuard
from seglam_agents.guards.standing import lays_down, literal_words, refers_back, says_nothing, shortens
from seglam_agents.records.values import Value
from seglam_agents.serving.loading import Loaded

How: TypeAlias = Literal["alone", "shown", "open"]
"""`alone`: its text is all there is to it. `shown`: runs have to show that. `open`: what was said may change it."""
MAX_EARLIER = 40
"""Messages of persons that are gone through; a longer conversation is left to the model."""
_WORDS = frozenset(("", "word", "noun", "phrase", "title", "text", "name", "person", "choice"))
"""Slots for words: one is no other's successor unless it is called the same. Others are told by their form."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What comes of looking at the messages before a request."""

    how: How
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that a guard accepts: what it names."""

    loaded: Loaded
    judgement: Accepted

    @property
    def sorts(self) -> frozenset[tuple[str, str]]:
        """The sorts of its values: those of words by the name of their place besides."""
        return frozenset(_sort(self.loaded, name) for name, value in self.judgement.arguments.items() if _says(value))

    @property
    def texts(self) -> Iterator[str]:
        """Its values that are words."""
        return (text for value in self.judgement.arguments.values() for text in _texts(value))

    @property
    def literal(self) -> frozenset[str] | None:
        """The words that its template says itself; None where its guard is code."""
        templates = self.loaded.procedure.guard.templates
        known = isinstance(self.loaded.guard, TemplateGuard) and self.judgement.template < len(templates)
        return literal_words(templates[self.judgement.template]) if known else None


def standing_of(request: str, earlier: Sequence[str], taken: Callable[[str], Taken | None]) -> Standing:
    """Return how a request stands after what persons said before it.

    Args:
        request: its text.
        earlier: their messages, oldest first.
        taken: asks the guards, whatever serves now; None where none accepts.
    """
    before = [text for text in earlier if not says_nothing(text)]
    if len(before) > MAX_EARLIER:
        return Standing("open", f"more than {MAX_EARLIER} messages came before it")
    done: list[Taken] = []
    for text in before:
        # The words cost less than the guards.
        laid = lays_down(text)
        found = taken(text) if laid is None else None
        if found is None:
            why = f"lays something down ({laid!r})" if laid else "is of no known kind"
            return Standing("open", f"what was said before {why}: it may change this")
        done.append(found)
    return _after(request, taken(request), done)


def _after(request: str, found: Taken | None, done: Sequence[Taken]) -> Standing:
    if (word := refers_back(request, found.literal if found else None)) is not None:
        return Standing("open", f"{word!r} may point at what was said before")
    if found is None:
        return Standing("shown" if done else "alone")
    if (short := _shortened(found, done)) is not None:
        return Standing("open", f"{short!r} was named before, and may be meant")
    named = frozenset(sort for each in done for sort in each.sorts)
    same = all(each.loaded.procedure.id == found.loaded.procedure.id for each in done)
    return Standing("alone" if same or named <= found.sorts else "shown")


def _shortened(found: Taken, done: Sequence[Taken]) -> str | None:
    named = [text for each in done for text in each.texts]
    return next((name for text in found.texts if (name := shortens(text, named)) is not None), None)


def _sort(loaded: Loaded, name: str) -> tuple[str, str]:
    guard = loaded.guard
    kind = guard.slots[name].name if isinstance(guard, TemplateGuard) and name in guard.slots else ""
    plain = kind.removeprefix("list(").partition("(")[0].rstrip(")")
    return ("words", name) if plain in _WORDS else (plain, "")


def _says(value: Value) -> bool:
    return value is not None and value not in ("", [], ())


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
