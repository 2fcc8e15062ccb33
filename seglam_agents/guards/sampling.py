"""Fresh requests from a guard's own templates and slots, with the arguments that they must bind."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.guards.slots import Slot
from seglam_agents.guards.template import Choice, Elements, Literal, SlotMention
from seglam_agents.records.values import Money, Value

MAX_TRIES = 50
"""Draws of a value until it differs from the others, or of arguments until the predicate holds."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A request that the guard must accept, and what it must bind."""

    text: str
    arguments: dict[str, Value]
    template: int


def samples(guard: TemplateGuard, rng: random.Random, *, each: int) -> Iterator[Sample]:
    """Yield fresh requests, `each` of every template.

    Whether the guard's `where` holds for them is not looked at: the caller asks the guard.
    """
    for index, pattern in enumerate(guard.patterns):
        for _ in range(each):
            values: dict[str, Value] = {}
            text = _render(pattern.template.elements, guard, rng, values)
            yield Sample(_tidy(text), {name: values.get(name) for name in guard.slots}, index)


def _render(elements: Elements, guard: TemplateGuard, rng: random.Random, values: dict[str, Value]) -> str:
    parts: list[str] = []
    for element in elements:
        match element:
            case Literal(text=text):
                parts.append(text)
            case SlotMention(name=name, slot=kind):
                if name not in values:
                    values[name] = _draw(name, kind, guard, rng, values)
                parts.append(kind.render(values[name]))
            case Choice(branches=branches, optional=optional):
                # An absent branch must not leave a later mention without its first one: values are drawn on demand.
                if not optional or rng.random() < 0.5:
                    parts.append(_render(rng.choice(branches), guard, rng, values))
    return "".join(parts)


def _draw(name: str, kind: Slot, guard: TemplateGuard, rng: random.Random, values: dict[str, Value]) -> Value:
    for _ in range(MAX_TRIES):
        value = kind.sample(rng)
        if isinstance(value, Money):
            value = _in_one_currency(value, values)
        if kind.open and any(_like(guard.slots[other], kind, known, value) for other, known in values.items()):
            continue
        return value
    return kind.sample(rng)


def _in_one_currency(value: Money, values: dict[str, Value]) -> Money:
    known = next((other for other in values.values() if isinstance(other, Money)), None)
    return Money(value.amount, known.currency) if known else value


def _like(other: Slot, kind: Slot, known: Value, value: Value) -> bool:
    return other.open and isinstance(known, str) and isinstance(value, str) and kind.same(known, value)


def _tidy(text: str) -> str:
    return re.sub(r" +([,.;:?!])", r"\1", re.sub(r" {2,}", " ", text)).strip()
