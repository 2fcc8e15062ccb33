"""What an object of unknown origin is, told to the reader and to the type checker at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import TypeGuard


def is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    """Tell whether a value has keys and values."""
    return isinstance(value, Mapping)


def is_document(value: object) -> TypeGuard[dict[str, object]]:
    """Tell whether a value is an object of a JSON document: a dict, whose keys JSON makes texts."""
    return isinstance(value, dict)


def is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    """Tell whether a value is a sequence; a text is one, too."""
    return isinstance(value, Sequence)


def is_list(value: object) -> TypeGuard[list[object]]:
    """Tell whether a value is a list."""
    return isinstance(value, list)


def is_listing(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    """Tell whether a value is a list or a tuple."""
    return isinstance(value, (list, tuple))


def is_set(value: object) -> TypeGuard[Set[object]]:
    """Tell whether a value is a set or a frozen one."""
    return isinstance(value, Set)
