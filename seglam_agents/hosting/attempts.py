"""Attempts at one turn: a host whose worker died may be given the same request again, with what it left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of a history, as attempts are told apart."""

    by: Literal["person", "agent", "other"]
    id: str = ""
    text: str | None = None
    ours: bool = False
    """True for an agent's message by which a procedure asks for a call."""


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
