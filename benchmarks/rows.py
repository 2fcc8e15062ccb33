"""Rows of a stream: how they are read, and in which order they are sent.

A row is `{"request": str, "kind": str or null, "answer": number or string, "context": {}}`; the context may be left
out. The kind groups the figures of the report, and is never shown to the cache. A row without a kind is foreign
traffic, which no stored procedure is meant to answer.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

from pydantic import Field, StrictFloat, StrictInt, StrictStr, ValidationError

from benchmarks.errors import UsageError
from seglam_agents.records.record import Json, Record

FOREIGN = "(foreign)"
"""How reports name rows without a kind."""


class Row(Record):
    """A request with its right answer; None where that is not known."""

    request: str = Field(min_length=1)
    kind: str | None
    answer: StrictInt | StrictFloat | StrictStr | None = None
    context: dict[str, Json] = Field(default_factory=dict[str, Json])

    @property
    def group(self) -> str:
        """The kind, as reports name it."""
        return FOREIGN if self.kind is None else self.kind


def read_rows(path: Path, *, answers: bool) -> list[Row]:
    """Read a file of JSON lines; empty lines do not count.

    Args:
        path: the file.
        answers: whether every row of a kind must have a right answer.

    Raises:
        UsageError: the file cannot be read, holds no row, or a line of it is no row.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: JSON may hold U+2028
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    rows = [_row(line, f"{path}, line {number}", answers) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise UsageError(f"{path} holds no rows")
    return rows


def arrange(rows: Sequence[Row], *, seed: int, zipf: float | None = None, limit: int | None = None) -> list[Row]:
    """Return the rows in the order in which they are sent; the same seed gives the same order.

    Args:
        rows: all rows.
        seed: what decides the order.
        zipf: draw kinds with frequencies rank^-zipf, until their rows are used up; None shuffles all rows alike.
        limit: how many rows to send at most.
    """
    rng = Random(seed)
    shuffled = rng.sample(rows, len(rows))
    return (shuffled if zipf is None else _skewed(shuffled, rng, zipf))[:limit]


class NearMissSchedule:
    """Decides when each near miss is sent: at a random place of the stream after its kind was cached.

    Args:
        rows: the near misses; those without a kind wait for nothing.
        seed: what decides the places.
        length: how many requests the stream has.
    """

    def __init__(self, rows: Iterable[Row], *, seed: int, length: int) -> None:
        self._rng = Random(f"near misses {seed}")
        self._length = length
        self._waiting: defaultdict[str | None, list[Row]] = defaultdict(list)
        self._due: defaultdict[int, list[Row]] = defaultdict(list)
        for row in rows:
            self._waiting[row.kind].append(row)
        self.cached(None, 0)

    def cached(self, kind: str | None, position: int) -> None:
        """Note that a kind is in the cache since the request at a position."""
        for row in self._waiting.pop(kind, ()):
            self._due[self._rng.randint(position, max(position, self._length - 1))].append(row)

    def due(self, position: int) -> list[Row]:
        """Return what is to be sent right after the request at a position, once."""
        return self._due.pop(position, [])

    def rest(self) -> list[Row]:
        """Return the near misses whose kind was never cached."""
        return [row for rows in self._waiting.values() for row in rows]


def _row(line: str, place: str, answers: bool) -> Row:
    try:
        row = Row.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{place}: {where}: {first['msg']}" if where else f"{place}: {first['msg']}") from error
    except ValueError as error:
        raise UsageError(f"{place}: not JSON: {error}") from error
    if answers and row.kind is not None and row.answer is None:
        raise UsageError(f"{place}: a request of a kind needs its right answer")
    return row


def _skewed(rows: Sequence[Row], rng: Random, exponent: float) -> list[Row]:
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.group].append(row)
    # The rank of a kind is the order of its first row among the shuffled ones.
    weights = {group: rank**-exponent for rank, group in enumerate(groups, 1)}
    order: list[Row] = []
    while groups:
        (group,) = rng.choices(list(groups), [weights[name] for name in groups])
        order.append(groups[group].pop())
        if not groups[group]:
            del groups[group]
    return order
