"""Rows told one by one: "N-1 (20), N-7 (35)" is each row in the same words, with something between two of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import cast

from seglam_agents.compilers.traces.sight import Found, Row, Sight, derive, has_rows, is_number, shared_keys
from seglam_agents.records.values import Value

SEPARATORS = ("\n", "; ", ", ", " | ", " / ", " and ")
"""What may stand between two rows."""
MAX_READINGS = 16
"""Ways to read the words about a row, where its keys say the same."""
MAX_LISTS = 24
"""Lists that are looked at."""


def reports(targets: Sequence[str], sight: Sight) -> list[Found]:
    """Return the rows of lists as texts that stand in all targets.

    Args:
        targets: what was said in each view.
        sight: what could be seen there.
    """
    lists = [atom for atom in [*sight.pools["path"], *sight.pools["filter"]] if has_rows(atom) and all(atom[1])]
    return [found for rows in lists[:MAX_LISTS] for found in _told(targets, rows)]


def _told(targets: Sequence[str], rows: Found) -> Iterator[Found]:
    found = ((text, cast("Sequence[Row]", value)) for text, value in zip(targets, rows[1], strict=True))
    several = next(((text, value) for text, value in found if len(value) > 1), None)
    keys = [key for key in shared_keys(rows) if all(map(_sayable, (row[key] for row in cast("list[Row]", rows[1][0]))))]
    if several is None or not keys:
        return
    for between, parts in _laid_out(*several, keys):
        for atom in derive("told", rows, options=(between, *parts)):
            if all(map(_stands_in, cast("Sequence[str]", atom[1]), targets)):
                yield atom


def _laid_out(text: str, rows: Sequence[Row], keys: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what stands between two rows, with the words and keys of each in turn."""
    starts = {key: _in_order(text, [str(row[key]) for row in rows]) for key in keys}
    first = min((places[0] for places in starts.values() if places), default=None)
    for key in [key for key, places in starts.items() if places and places[0] == first]:
        begin, end = starts[key][:2]
        words = text[begin + len(str(rows[0][key])) : end]
        for parts in islice(_read(words, rows[0], keys), MAX_READINGS):
            for between in SEPARATORS:
                suffix, found, prefix = parts[-1].rpartition(between)
                if found:
                    yield between, (prefix, key, *parts[:-1], suffix)
                    break


def _in_order(text: str, values: Sequence[str]) -> list[int]:
    """Return where values stand in a text one behind the other; nothing where one of them does not."""
    places: list[int] = []
    at = 0
    for value in values:
        match = re.compile(rf"(?<![\w.]){re.escape(value)}(?!\w|\.\d)").search(text, at) if value else None
        if match is None:
            return []
        places.append(match.start())
        at = match.end()
    return places


def _read(words: str, row: Mapping[str, Value], keys: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the words about a row as literal texts and keys in turn: one reading for each choice of keys that fit."""
    said: dict[str, list[str]] = {}
    for key in keys:
        said.setdefault(str(row[key]), []).append(key)
    known = sorted((value for value in said if value), key=len, reverse=True)
    pattern = re.compile("|".join(rf"(?<![\w.]){re.escape(value)}(?!\w|\.\d)" for value in known))
    matches = list(pattern.finditer(words))
    literals = [
        words[start:end]
        for start, end in zip(
            [0, *(m.end() for m in matches)], [*(m.start() for m in matches), len(words)], strict=True
        )
    ]
    for chosen in product(*(said[match[0]] for match in matches)):
        parts = [literals[0]]
        for key, literal in zip(chosen, literals[1:], strict=True):
            parts += [key, literal]
        yield tuple(parts)


def _sayable(value: Value) -> bool:
    return isinstance(value, str) or is_number(value)


def _stands_in(told: str, target: str) -> bool:
    return told in target
