"""`Piles`: the pieces of runs, which lie scattered over lines and files, put together by run.

They are kept in a temporary database, because an export may be larger than memory.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from seglam_agents.records.record import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Pile:
    """All pieces of one run, in the order of the files."""

    kind: str
    key: str
    source: str
    place: str
    pieces: list[dict[str, Json]]


class Piles:
    """Collects pieces, and gives them back run by run. Its file is removed by itself."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")  # Empty: a file of its own that is temporary, where memory is short.
        self._database.execute(
            "CREATE TABLE piece (kind TEXT, key TEXT, source TEXT, place TEXT, piece TEXT, n INTEGER PRIMARY KEY)"
        )

    def add(self, kind: str, key: str, source: str, place: str, piece: dict[str, Json]) -> None:
        """Put a piece to the others of its run."""
        row = (kind, key, source, place, json.dumps(piece))
        self._database.execute("INSERT INTO piece (kind, key, source, place, piece) VALUES (?, ?, ?, ?, ?)", row)

    def __iter__(self) -> Iterator[Pile]:
        self._database.execute("CREATE INDEX IF NOT EXISTS run ON piece (kind, key)")
        runs = "SELECT kind, key, source, place, MIN(n) AS n FROM piece GROUP BY kind, key ORDER BY n"
        with closing(self._database.execute(runs)) as found:
            for kind, key, source, place, _ in found:
                yield Pile(kind=kind, key=key, source=source, place=place, pieces=self._pieces(kind, key))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def _pieces(self, kind: str, key: str) -> list[dict[str, Json]]:
        found = self._database.execute("SELECT piece FROM piece WHERE kind = ? AND key = ? ORDER BY n", (kind, key))
        return [json.loads(piece) for (piece,) in found]
