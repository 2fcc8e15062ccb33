"""Whether the arguments of a call are what its tool takes, before it is made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Protocol, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing.exceptions import Unresolvable

from seglam_agents.records.record import Json
from seglam_agents.records.tools import Tool

_AS_PLAIN = ("$date", "$datetime", "$time", "$duration")
"""Values that a schema knows as a text or a number."""


class _Validator(Protocol):
    def iter_errors(self, instance: Json) -> Iterator[ValidationError]: ...


def unfit(tool: Tool, arguments: Mapping[str, Json]) -> str | None:
    """Return why a tool does not take these arguments, or None. A tool without a schema takes everything.

    Dates, times and durations count as the text or the number that JSON has for them. An amount of money or a quantity
    is no number: the currency or the unit would be lost.
    """
    if not tool.parameters:
        return None
    try:
        validator = _validator(json.dumps(tool.parameters, sort_keys=True))
        problem = next(validator.iter_errors(_plain(dict(arguments))), None)
    except (SchemaError, Unresolvable, RecursionError, ValueError, TypeError) as error:
        return f"the schema of {tool.name} cannot be used: {str(error).splitlines()[0]}"
    if problem is None:
        return None
    place = ".".join(str(part) for part in problem.absolute_path)
    where = f"{place}: " if place else ""
    return f"{tool.name} does not take these arguments: {where}{problem.message[:200]}"


@lru_cache(maxsize=1_024)
def _validator(schema: str) -> _Validator:
    document: dict[str, object] = json.loads(schema)
    Draft202012Validator.check_schema(document)
    return cast(_Validator, Draft202012Validator(document))


def _plain(value: Json) -> Json:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (tag := next(iter(value))) in _AS_PLAIN:
        return value[tag]
    return {key: _plain(item) for key, item in value.items()}
