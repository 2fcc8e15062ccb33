"""`ExactSearch`: the nearest of the stored vectors by plain arithmetic, for who does not own the Qdrant shard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from seglam_agents.records.request import Scope

Vectors: TypeAlias = NDArray[np.float32]
Newer: TypeAlias = Callable[[int], Sequence[tuple[str, int, bytes]]]
MAX_SCOPES = 64
"""Scopes whose vectors are kept in memory."""


@dataclass(slots=True)
class _Shelf:
    revision: int = 0
    rows: dict[str, Vectors] = field(default_factory=dict[str, "Vectors"])
    matrix: Vectors | None = None


class ExactSearch:
    """The vectors of some scopes in memory; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shelves: dict[Scope, _Shelf] = {}

    def nearest(
        self, scope: Scope, vector: Sequence[float], limit: int, *, revision: int, newer: Newer
    ) -> list[tuple[str, float]]:
        """Return the ids nearest to a vector with their cosines, nearest first.

        Args:
            scope: where to search.
            vector: what to search for.
            limit: how many at most.
            revision: the last one of the scope.
            newer: returns id, revision and vector of those written after a revision.
        """
        with self._lock:
            shelf = self._shelf(scope, revision)
            _update(shelf, newer(shelf.revision))
            names, matrix = list(shelf.rows), _matrix(shelf)
        if matrix is None:
            return []
        scores = matrix @ _unit(np.asarray(vector, dtype=np.float32))
        best = np.argsort(-scores, kind="stable")[:limit]
        return [(names[int(index)], float(scores[int(index)])) for index in best]

    def _shelf(self, scope: Scope, revision: int) -> _Shelf:
        shelf = self._shelves.pop(scope, None)
        if shelf is None or shelf.revision > revision:  # An older state of the store was restored.
            shelf = _Shelf()
        self._shelves[scope] = shelf
        if len(self._shelves) > MAX_SCOPES:
            del self._shelves[next(iter(self._shelves))]
        return shelf


def _update(shelf: _Shelf, rows: Sequence[tuple[str, int, bytes]]) -> None:
    for name, revision, numbers in rows:
        vector = np.frombuffer(numbers, dtype=np.float32)
        if np.isfinite(vector).all():  # Else the disk damaged it.
            shelf.rows[name] = _unit(vector)
        shelf.revision = max(shelf.revision, revision)
        shelf.matrix = None


def _matrix(shelf: _Shelf) -> Vectors | None:
    if shelf.matrix is None and shelf.rows:
        shelf.matrix = np.stack(list(shelf.rows.values()))
    return shelf.matrix


def _unit(vector: Vectors) -> Vectors:
    length = np.float32(np.linalg.norm(vector))
    return vector / length if length else vector
