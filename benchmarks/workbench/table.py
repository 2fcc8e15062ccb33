"""`Table`: rows of text under an id, in database order."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from benchmarks.errors import UsageError

Row: TypeAlias = dict[str, str]

ID_DIGITS = 8
CREATED = "(new)"
"""Stands in a snapshot for the id of a created row, which only says how many were created before it."""


class Table:
    """Rows under an id; a row is never changed in place, so that copies can share it."""

    def __init__(self, key: str, columns: Iterable[str], rows: Iterable[Row] = ()) -> None:
        self.key = key
        self.columns = tuple(columns)
        self._rows = {row[key]: row for row in rows}
        self._loaded = self._highest()

    @classmethod
    def read(cls, path: Path, key: str, columns: Iterable[str]) -> Table:
        """Read a CSV file; columns that nobody declared are left out.

        Raises:
            UsageError: the file cannot be read, or lacks a column.
        """
        columns = tuple(columns)
        rows = read_csv(path, columns)
        return cls(key, columns, ({name: row[name] for name in columns} for row in rows))

    def copy(self) -> Table:
        """Return a table that can change without changing this one."""
        twin = Table(self.key, self.columns)
        twin._rows, twin._loaded = dict(self._rows), self._loaded
        return twin

    def get(self, key: str | None) -> Row | None:
        """Return the row of an id."""
        return self._rows.get(key or "")

    def where(self, holds: Callable[[Row], bool]) -> list[Row]:
        """Return copies of the rows that a condition holds for, in database order."""
        return [dict(row) for row in self._rows.values() if holds(row)]

    def values(self, column: str) -> tuple[str, ...]:
        """Return the different values of a column, in database order."""
        return tuple(dict.fromkeys(row[column] for row in self._rows.values() if row[column]))

    def add(self, values: Mapping[str, str | None]) -> str:
        """Append a row under the next free id, and return the id."""
        key = str(self._highest() + 1).zfill(ID_DIGITS)
        self._rows[key] = {name: key if name == self.key else values.get(name) or "" for name in self.columns}
        return key

    def update(self, key: str, column: str, value: str) -> None:
        """Change one field of a row."""
        self._rows[key] = {**self._rows[key], column: value}

    def delete(self, key: str) -> None:
        """Remove a row."""
        del self._rows[key]

    def snapshot(self) -> list[list[str]]:
        """Return the rows without their order; created rows without the ids that they happened to get."""
        return sorted([self._stable_id(row), *(row[name] for name in self.columns[1:])] for row in self._rows.values())

    def _stable_id(self, row: Row) -> str:
        key = row[self.key]
        return CREATED if int(key) > self._loaded else key

    def _highest(self) -> int:
        return max(map(int, self._rows), default=-1)


def read_csv(path: Path, columns: Iterable[str]) -> list[Row]:
    """Read the rows of a CSV file as text.

    Raises:
        UsageError: the file cannot be read, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = sorted(set(columns) - set(reader.fieldnames or ()))
            if missing:
                raise UsageError(f"{path} lacks the columns {', '.join(missing)}")
            return [{name: value or "" for name, value in row.items() if name} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
