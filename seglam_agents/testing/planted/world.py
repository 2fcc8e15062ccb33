"""`World`: the data behind a planted agent's tools, and the writes that were made to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from seglam_agents.records.record import Json
from seglam_agents.testing.planted.themes import Theme

Row = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Write:
    """One call that changed something."""

    tool: str
    arguments: Row


@dataclass(slots=True)
class World:
    """Records of one theme, the people they belong to, goods in stock, and readings of places.

    Writes are noted and change nothing that is read: what a call does to later reads is a matter of its own.
    """

    theme: Theme
    rows: list[Row]
    people: list[Row]
    goods: list[Row]
    readings: list[Row]
    next_number: int = 1
    writes: list[Write] = field(default_factory=list[Write])

    def copy(self) -> World:
        """Return the same data without the writes; the rows are shared, for nobody changes them."""
        return World(self.theme, self.rows, self.people, self.goods, self.readings, self.next_number)

    def of(self, owner: str) -> list[Row]:
        """Return the records of one owner, in the order of the data."""
        return [row for row in self.rows if row[self.theme.owner] == owner]

    def select(self, statement: str) -> list[Row]:
        """Run a SELECT over the table of records, which bears the theme's plural.

        Raises:
            ValueError: the statement cannot be run.
        """
        with sqlite3.connect(":memory:") as connection:
            names = list(self.rows[0]) if self.rows else [self.theme.key, self.theme.owner]
            columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
            connection.execute(f'CREATE TABLE "{self.theme.plural}" ({columns})')
            rows = [tuple(row.values()) for row in self.rows]
            connection.executemany(f'INSERT INTO "{self.theme.plural}" VALUES ({marks})', rows)  # noqa: S608  # our own names
            connection.row_factory = sqlite3.Row
            try:
                return [dict(row) for row in connection.execute(statement)]
            except sqlite3.Error as error:
                raise ValueError(str(error)) from error


def number(row: Row, name: str) -> int | float:
    """Return a field that holds a number."""
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} holds no number but {value!r}")
    return value


def text(row: Row, name: str) -> str:
    """Return a field that holds a text."""
    value = row[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} holds no text but {value!r}")
    return value


def one(rows: Sequence[Row], name: str, value: Json) -> Row:
    """Return the row that has a value.

    Raises:
        LookupError: there is none.
    """
    for row in rows:
        if row[name] == value:
            return row
    raise LookupError(f"no {name} {value}")
