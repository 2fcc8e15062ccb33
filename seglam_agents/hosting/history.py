"""The history of a host: where a turn begins in it, what was said before, and what earlier attempts have left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

from seglam_agents.records.record import Json


class Identified(Protocol):
    """A message of a host that has an id."""

    @property
    def id(self) -> str | None:
        """The host's id of it; None for one that has none yet."""
        ...


M = TypeVar("M", bound=Identified)


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of a history, as attempts are told apart."""

    by: Literal["person", "agent", "other"]
    """`other`: what a tool returned."""
    id: str = ""
    text: str | None = None
    """None where it is not only text."""
    ours: bool = False
    """True for an agent's message by which a procedure asks for a call."""


@dataclass(frozen=True, slots=True)
class Posed:
    """A request as a host has found it."""

    text: str | None
    """None where it does not stand for itself."""
    context: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """The typed context that guards may ask for."""
    earlier: tuple[str, ...] = ()
    """What persons said before it in its conversation; empty where it opens one."""
    heard: tuple[str, ...] = ()
    """What agents and tools said there."""


def posed(
    history: Sequence[Heard],
    context: Mapping[str, Json] | None = None,
    *,
    opens: bool = True,
    canonicalise: Callable[[], str | None] | None = None,
) -> Posed:
    """Return the request that ends a history.

    Args:
        history: the messages that are neither instructions nor left from earlier attempts, up to and with the request.
        context: its typed context.
        opens: False where it is known to be a later turn, even if nothing is left of the ones before.
        canonicalise: the host's own way to make a later turn stand for itself; what it returns is the request then.
    """
    context = context or {}
    *before, last = history or (Heard("person"),)
    if not before and opens:
        return Posed(last.text, context)
    if canonicalise is not None:
        return Posed(canonicalise(), context)
    persons = [heard.text for heard in before if heard.by == "person"]
    if not before or last.text is None or None in persons:
        return Posed(None, context)
    said = tuple(text for text in persons if text is not None)
    # Where only the agent has spoken, there is something before it as well.
    return Posed(last.text, context, said or ("",), tuple(h.text for h in before if h.by != "person" and h.text))


def after(history: Sequence[M], message: str) -> Sequence[M] | None:
    """Return the messages after the one with this id; None where it is gone."""
    place = _place(history, message)
    return history[place + 1 :] if place is not None else None


def until(history: Sequence[M], message: str) -> Sequence[M]:
    """Return the messages up to and with the one with this id; none where it is gone."""
    place = _place(history, message)
    return history[: place + 1] if place is not None else ()


def earlier_than_attempts(history: Sequence[Heard], ended: str = "") -> int:
    """Return how many messages of a history came before the first attempt at the request that it ends with.

    What procedures did in between is in the journal; where the model itself did something, it is history like any
    other.

    Args:
        history: the messages, up to and with the request.
        ended: the id of the last request that is known to have come to its end.
    """
    *earlier, last = history
    start = len(earlier)
    for index in reversed(range(len(earlier))):
        heard = earlier[index]
        if heard.by == "agent" and not heard.ours:
            break
        if heard.by == "person" and (heard.id == ended or heard.text != last.text):
            break
        start = index if heard.by == "person" else start
    return start


def _place(history: Sequence[Identified], message: str) -> int | None:
    return next((place for place, said in enumerate(history) if said.id == message), None)
