"""The history of a host: where a turn begins in it, and what earlier attempts at the same turn have left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar


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
    id: str = ""
    text: str | None = None
    ours: bool = False
    """True for an agent's message by which a procedure asks for a call."""


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
