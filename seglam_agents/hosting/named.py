"""What was named earlier in a conversation: a run that needs it is no run of its request alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from seglam_agents.guards.standing import spoken
from seglam_agents.hosting.history import Posed
from seglam_agents.records.record import Json, digest, leaves
from seglam_agents.records.trace import ToolStep

MAX_NAMED = 1_000
"""Words that are kept of a conversation; where there are more, the turn is left to the model."""
_LENGTH = 6


def named_before(posed: Posed) -> tuple[str, ...] | None:
    """Return short digests of the words that were said before a request and are not in it.

    None where there are too many. Digests, because the state of a host is no place for what persons said.
    """
    here = set(_words(posed.text or ""))
    before = {word for text in (*posed.earlier, *posed.heard) for word in _words(text)} - here
    return tuple(sorted(_key(word) for word in before)) if len(before) <= MAX_NAMED else None


def rests_on(before: Sequence[str], asked: str, calls: Iterable[ToolStep]) -> str | None:
    """Return a word of a run's calls that only what was said before explains; None where there is none.

    Args:
        before: as `named_before` gives it.
        asked: the request.
        calls: those of the run, in their order.
    """
    if not before:
        return None
    foreign, known = frozenset(before), set(_words(asked))
    for call in calls:
        for word in _words_in(call.arguments):
            if word not in known and _key(word) in foreign:
                return word
        known.update(_words_in(call.result))
    return None


def _key(word: str) -> str:
    return digest(word, length=_LENGTH)


def _words_in(document: Json) -> Iterator[str]:
    for value in leaves(document):
        if value is not None and not isinstance(value, bool):
            yield from _words(str(value))


def _words(text: str) -> Iterator[str]:
    for word in spoken(text):
        yield word.casefold()
        # "3.0" and "3" are one number, and an id is named by its parts as well.
        yield from (part.casefold() for part in re.split(r"\W+", word) if len(part) > 1)
