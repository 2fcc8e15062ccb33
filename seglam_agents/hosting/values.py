"""Values of a host as JSON, and answers as text: one reading and one rendering for every host."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from seglam_agents.records.exchange import NotAValueError, exchanged
from seglam_agents.records.record import Json
from seglam_agents.records.values import Money, Quantity, Value, decode, encode

_JSON: TypeAdapter[Json] = TypeAdapter(Json)


def json_of(value: object) -> Json:
    """Return a value as JSON.

    Raises:
        ValueError: it is no JSON as it stands.
    """
    return _JSON.validate_python(value, strict=True)


def encoded(value: object) -> Json:
    """Return what a tool of a host gave back, models and data classes included, in the encoding of the cache.

    Raises:
        ValueError: it has no JSON form.
    """
    try:
        return encode(exchanged(value))
    except NotAValueError:
        return json_of(to_jsonable_python(value))
    except (TypeError, RecursionError) as error:
        raise ValueError(f"a {type(value).__name__} has no JSON form") from error


def encoded_or(value: object, otherwise: Json) -> Json:
    """Return what a tool of a host gave back in the encoding of the cache; something else where it has no JSON form."""
    try:
        return encoded(value)
    except ValueError:
        return otherwise


def is_json(value: object) -> TypeGuard[Json]:
    """Tell whether a value is JSON as it stands."""
    try:
        json_of(value)
    except (ValidationError, RecursionError):
        return False
    return True


def is_object(value: object) -> TypeGuard[dict[str, Json]]:
    """Tell whether a value is a JSON object as it stands, as arguments are."""
    return isinstance(value, dict) and is_json(value)  # pyright: ignore[reportUnknownArgumentType]


def is_array(value: object) -> TypeGuard[list[Json]]:
    """Tell whether a value is a JSON array as it stands."""
    return isinstance(value, list) and is_json(value)  # pyright: ignore[reportUnknownArgumentType]


def mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping of a host as one; anything else as an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def fields_of(value: object, *, given: bool = False) -> Mapping[str, Any]:
    """Return the fields of a model or of a data class, or a mapping as it is; anything else as an empty one.

    Args:
        value: of the host.
        given: leave out the fields of a model that nobody set.
    """
    if isinstance(value, BaseModel):
        names = value.model_fields_set if given else type(value).model_fields
        return {name: getattr(value, name) for name in names}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    return mapping(value)


def several(value: object) -> list[Any]:
    """Return a list or a tuple of a host as a list; anything else as an empty one."""
    return [*cast("Sequence[Any]", value)] if isinstance(value, (list, tuple)) else []


def text_in(content: object) -> str | None:
    """Return the text of a content, one or in blocks; None where it also holds what is no text, such as an image."""
    if isinstance(content, str):
        return content
    texts = [block if isinstance(block, str) else mapping(block).get("text") for block in several(content)]
    known = [text for text in texts if isinstance(text, str)]
    return "".join(known) if len(known) == len(texts) else None


def parsed(text: str) -> Json:
    """Return a text as the JSON that it spells, or the text itself."""
    try:
        return json_of(json.loads(text, parse_constant=_no_constant))
    except (ValueError, RecursionError):
        return text


def render(answer: Json) -> str:
    """Return an answer as the text of a message."""
    value = decode(answer)
    match value:
        case str():
            return value
        case Money():
            return f"{_number(value.amount)} {value.currency}"
        case Quantity():
            return f"{_number(value.value)} {value.unit}"
        case bool() | None | list() | dict():
            return json.dumps(answer, ensure_ascii=False)
        case float():
            return _number(value)
        case _:
            return str(value)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _no_constant(name: str) -> Value:
    raise ValueError(f"{name} is no JSON")
