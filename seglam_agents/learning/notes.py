"""Reads what was noted in a store. A note that cannot be read is told and passed over: it must not stop learning."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from seglam_agents.records.record import Json

T = TypeVar("T")

logger = logging.getLogger(__name__)


def read_notes(notes: Mapping[str, Mapping[str, Json]], field: str, read: Callable[[str], T]) -> list[T]:
    """Return the notes that can be read.

    Args:
        notes: by their keys; an empty note stands for one that was forgotten.
        field: under which a note holds its text.
        read: makes a value of the text.
    """
    found: list[T] = []
    for key, note in notes.items():
        if field not in note:
            continue
        try:
            found.append(read(str(note[field])))
        except ValueError as error:
            logger.warning("skipped the note %r, which cannot be read: %s", key, error)
    return found
