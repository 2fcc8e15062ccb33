"""An answer as an object of the schema that a host asks for, or why it is none."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import cast, get_type_hints

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_jsonable_python

from seglam_agents.hosting.typed_dicts import readable
from seglam_agents.hosting.values import json_of, mapping, several
from seglam_agents.records.record import Json, digest


@dataclass(frozen=True, slots=True)
class Misfit:
    """An answer that does not fit what the host asks for."""

    reason: str


def fit(answer: Json, schemas: Iterable[object]) -> object:
    """Return an answer as an object of the first schema that it fits, None where none is asked for, or a `Misfit`.

    Args:
        answer: as the procedure gave it.
        schemas: types, or JSON Schemas of objects.
    """
    problems: list[str] = []
    for schema in schemas:
        try:
            return _parsed(answer, schema)
        except Exception as error:
            problems.append(str(error).splitlines()[0])
    return Misfit(f"the answer does not fit the response format: {'; '.join(problems)}") if problems else None


def form_digest(schemas: Iterable[object]) -> str:
    """Return the digest of the response format that an agent is told to answer in; empty where it has none.

    Args:
        schemas: types, JSON Schemas of objects, or functions that make an answer of a message.
    """
    forms = [_schema_of(schema) for schema in schemas]
    return digest("response format", forms) if forms else ""


def misfits(schemas: Iterable[object]) -> Callable[[Json], str | None]:
    """Return what says why an answer fits none of these schemas."""
    known = tuple(schemas)

    def misfit(answer: Json) -> str | None:
        fitted = fit(answer, known)
        return fitted.reason if isinstance(fitted, Misfit) else None

    return misfit


def misfits_of(check: Callable[[Json], object], told: str) -> Callable[[Json], str | None]:
    """Return what says why an answer is none for the host: what a check of it raises.

    Args:
        check: raises a `ValueError` for an answer that is none.
        told: what is wrong, in a few words.
    """

    def misfit(answer: Json) -> str | None:
        try:
            check(answer)
        except ValueError as error:
            return f"{told}: {str(error).splitlines()[0]}"
        return None

    return misfit


def unreadable(kind: object) -> str | None:
    """Return why nothing can ever be checked against a type, or None."""
    try:
        _adapter(kind)
    except NameError:
        return None  # It names what is defined later.
    except Exception as error:
        return str(error).splitlines()[0]
    return None


def plain(structured: object, *, given: bool = False) -> Json:
    """Return an object of a schema as JSON.

    Args:
        structured: the object.
        given: leave out what nobody set.

    Raises:
        ValueError: it has no JSON form.
    """
    if isinstance(structured, BaseModel):
        return cast(Json, structured.model_dump(mode="json", exclude_unset=given))
    if dataclasses.is_dataclass(structured) and not isinstance(structured, type):
        structured = dataclasses.asdict(structured)
    return json_of(to_jsonable_python(structured))


def returned(function: Callable[..., object]) -> object:
    """Return the annotated result of a function; None where it does not say, or says it in names that are not there."""
    said: dict[str, object] = {}
    with suppress(Exception):
        said = get_type_hints(function)
    kind = said.get("return")
    return None if kind is dict or kind is type(None) else kind


def _schema_of(schema: object) -> object:
    """Return the JSON Schema of a schema; a name where it has none."""
    if document := mapping(schema):
        return document
    with suppress(Exception):
        return TypeAdapter[object](cast("type[object]", schema)).json_schema()
    return f"{getattr(schema, '__module__', '')}.{getattr(schema, '__qualname__', type(schema).__qualname__)}"


def _parsed(answer: Json, schema: object) -> object:
    document = mapping(schema)
    if isinstance(schema, dict):
        return _checked(answer, document)
    # JSON mode, because dates and tuples arrive as texts and lists.
    return _adapter(schema).validate_json(json.dumps(answer))


def _adapter(schema: object) -> TypeAdapter[object]:
    return TypeAdapter(cast("type[object]", readable(schema)))


def _checked(answer: Json, schema: Mapping[str, object]) -> Json:
    """Return an answer that looks as a JSON Schema wants it: an object with the required keys, and no others."""
    if not isinstance(answer, dict):
        raise ValueError(f"{answer!r} is no object")
    required = several(schema.get("required"))
    known = mapping(schema.get("properties"))
    if missing := [key for key in required if key not in answer]:
        raise ValueError(f"{', '.join(missing)} is missing")
    if unknown := [key for key in answer if known and key not in known]:
        raise ValueError(f"{', '.join(unknown)} is not asked for")
    return answer
