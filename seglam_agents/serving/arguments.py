"""Whether the arguments of a call are what its tool takes, before it is made."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, time
from fractions import Fraction
from functools import lru_cache
from typing import Protocol, cast

from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import ValidationError
from referencing import Registry

from seglam_agents.guards.normal import linear
from seglam_agents.records.record import Json
from seglam_agents.records.shapes import is_document, is_list, is_mapping, is_sequence
from seglam_agents.records.tools import Tool
from seglam_agents.records.values import Money, Quantity, Value

_AS_PLAIN = ("$date", "$datetime", "$time", "$duration")
"""Values that a schema knows as a text or a number."""


class _Validator(Protocol):
    def iter_errors(self, instance: Json) -> Iterator[ValidationError]: ...


def unfit(tool: Tool, arguments: Mapping[str, Json]) -> str | None:
    """Return why a tool does not take these arguments, or None. A tool without a schema takes everything finite.

    Dates, times and durations count as the text or the number that JSON has for them. An amount of money or a quantity
    is no number: the currency or the unit would be lost.
    """
    plain = _plain(dict(arguments))
    if _endless(plain):
        return f"{tool.name} does not take these arguments: a number among them is infinite or none at all"
    if not tool.parameters:
        return None
    try:
        validator = _validator(json.dumps(tool.parameters, sort_keys=True))
        problem = next(validator.iter_errors(plain), None)
    except Exception as error:
        # A schema is the host's own, and may be anything: what cannot be checked is not called.
        return f"the schema of {tool.name} cannot be used: {type(error).__name__}: {str(error)[:200]}"
    if problem is None:
        return None
    place = ".".join(str(part) for part in problem.absolute_path)
    where = f"{place}: " if place else ""
    return f"{tool.name} does not take these arguments: {where}{problem.message[:200]}"


def schema_problem(tool: Tool) -> str | None:
    """Return why the schema of a tool is none, or None."""
    try:
        _validator(json.dumps(tool.parameters, sort_keys=True))
    except Exception as error:
        return " ".join(str(getattr(error, "message", error)).split())[:200]
    return None


def whole(tool: Tool, arguments: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return arguments in which 1100.0 is 1100 where the schema of the tool asks for an integer.

    JSON Schema takes both; but a tool that writes the number down would write another text.
    """
    return cast("Mapping[str, Value]", _whole(arguments, dict(tool.parameters), tool.parameters, 0))


@lru_cache(maxsize=1_024)
def _validator(schema: str) -> _Validator:
    document: dict[str, object] = json.loads(schema)
    kind = validators.validator_for(document, default=Draft202012Validator)
    kind.check_schema(document)
    extend = cast("Callable[..., Callable[..., _Validator]]", validators.extend)  # pyright: ignore[reportUnknownMemberType]  # it has no types
    # Nothing is fetched from the network for a schema.
    nowhere: Registry[object] = Registry()
    return extend(kind, {"multipleOf": _multiple_of, "pattern": _pattern})(
        document, registry=nowhere, format_checker=_FORMATS
    )


def _pattern(_: object, pattern: str, text: object, __: object) -> Iterator[ValidationError]:
    """Check `pattern` in time that is linear in the text, whatever the pattern; one that needs more raises."""
    if isinstance(text, str) and linear(pattern, cased=True).search(text) is None:
        yield ValidationError(f"{text!r} does not match {pattern!r}")


def _multiple_of(_: object, factor: float, number: object, __: object) -> Iterator[ValidationError]:
    """Check `multipleOf` in exact numbers: 19.99 is a multiple of 0.01, and no integer is too large."""
    is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
    if is_number and Fraction(str(number)) % Fraction(str(factor)):
        yield ValidationError(f"{number!r} is not a multiple of {factor}")


# These alone, on every machine: what jsonschema checks besides depends on which packages are there.
_FORMATS = FormatChecker(formats=("date", "email", "ipv4", "ipv6", "uuid"))


@_FORMATS.checks("date-time", raises=ValueError)
def _is_datetime(text: object) -> bool:
    if isinstance(text, str):
        datetime.fromisoformat(text)
    return True


@_FORMATS.checks("time", raises=ValueError)
def _is_time(text: object) -> bool:
    if isinstance(text, str):
        time.fromisoformat(text)
    return True


def _plain(value: Json) -> Json:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (tag := next(iter(value))) in _AS_PLAIN:
        return value[tag]
    return {key: _plain(item) for key, item in value.items()}


def _endless(value: Json) -> bool:
    """Tell whether a number of a value has no JSON form."""
    if isinstance(value, list):
        return any(map(_endless, value))
    if isinstance(value, dict):
        return list(value) == ["$float"] or any(map(_endless, value.values()))
    return isinstance(value, float) and not math.isfinite(value)


def _whole(value: object, schema: object, root: Mapping[str, Json], depth: int) -> object:
    known = _resolved(schema, root)
    if isinstance(value, float):
        return int(value) if value.is_integer() and _is_integer(known, root) else value
    if depth > _DEEPEST or isinstance(value, (str, Money, Quantity)):
        return value
    if is_mapping(value):
        schemas = known.get("properties")
        of = schemas if is_document(schemas) else {}
        return {name: _whole(item, of.get(str(name)), root, depth + 1) for name, item in value.items()}
    if is_sequence(value):
        return [_whole(item, known.get("items"), root, depth + 1) for item in value]
    return value


_DEEPEST = 60


def _is_integer(schema: Mapping[str, object], root: Mapping[str, Json]) -> bool:
    """Tell whether of numbers a schema takes integers alone."""
    kinds = schema.get("type")
    named = kinds if is_list(kinds) else [kinds]
    for union in ("anyOf", "oneOf"):
        if is_list(schemas := schema.get(union)):
            named = [*named, *(_resolved(item, root).get("type") for item in schemas)]
    return "integer" in named and "number" not in named


def _resolved(schema: object, root: Mapping[str, Json]) -> Mapping[str, object]:
    """Return a schema, or the one in the same document that it refers to."""
    for _ in range(_DEEPEST):
        if not is_document(schema):
            return {}
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return schema
        found: object = root
        for part in reference[2:].split("/"):
            found = found.get(part) if is_document(found) else None
        schema = found
    return {}
