"""`readable`: a type as pydantic reads it, which takes no `typing.TypedDict` before Python 3.12."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable, Iterable
from typing import Annotated, Any, NotRequired, Required, cast, get_args, get_origin, get_type_hints

import typing_extensions


def readable(kind: object) -> object:
    """Return a type with every `typing.TypedDict` in it made anew as one that pydantic reads."""
    return kind if sys.version_info >= (3, 12) else _read(kind, ())


def _read(kind: Any, within: tuple[object, ...]) -> Any:
    if typing_extensions.is_typeddict(kind) and kind not in within:
        return _typed_dict(kind, (*within, kind))
    parts = get_args(kind)
    read = tuple(_read(part, within) for part in parts)
    if all(new is old for new, old in zip(read, parts, strict=True)):
        return kind
    origin = get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return typing.Union[read]  # noqa: UP007  # as many as there are
    if origin is Annotated:
        return Annotated[read[0], *kind.__metadata__]
    return kind.copy_with(read) if hasattr(kind, "copy_with") else origin[read]


def _typed_dict(kind: Any, within: tuple[object, ...]) -> Any:
    hints = dict(_hints(kind))
    read = {name: _read(hint, within) for name, hint in hints.items()}
    if not typing.is_typeddict(kind) and all(read[name] is hint for name, hint in hints.items()):
        return kind
    fields = {name: (Required if name in kind.__required_keys__ else NotRequired)[read[name]] for name in hints}
    make: Callable[[str, dict[str, Any]], Any] = cast(Any, typing_extensions.TypedDict)
    made = make(kind.__name__, fields)
    made.__doc__, made.__module__ = kind.__doc__, kind.__module__
    if hasattr(kind, "__pydantic_config__"):
        made.__pydantic_config__ = kind.__pydantic_config__
    return made


def _hints(kind: Any) -> Iterable[tuple[str, Any]]:
    for name, hint in get_type_hints(kind, include_extras=True).items():
        yield name, get_args(hint)[0] if get_origin(hint) in (Required, NotRequired) else hint
