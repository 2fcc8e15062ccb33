"""What crosses between LlamaIndex and the cache: results of tools and rows as JSON, answers as text."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TypeGuard, cast

from llama_index.core.tools.types import ToolOutput
from pydantic import BaseModel
from seglam_agents import ToolResult
from seglam_agents.records.record import Json
from seglam_agents.records.values import decode, encode


class NoJson(ValueError):
    """A value has no JSON form."""


def json_of(value: object) -> Json:
    """Return a value of a host as JSON, in the encoding of the cache.

    Raises:
        NoJson: it has none.
    """
    match value:
        case None | bool() | int() | float() | str() | date() | datetime() | time() | timedelta():
            return encode(value)
        case Decimal():
            return int(value) if value == value.to_integral_value() and value.is_finite() else encode(float(value))
        case uuid.UUID():
            return str(value)
        case BaseModel():
            return cast(Json, value.model_dump(mode="json"))
        case Mapping():
            entries = cast("Mapping[object, object]", value)
            return {str(key): json_of(item) for key, item in entries.items()}
        case list() | tuple():
            return [json_of(item) for item in cast("Sequence[object]", value)]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return json_of(dataclasses.asdict(value))
        case _:
            raise NoJson(f"a {type(value).__name__} has no JSON form")


def is_json(value: object) -> TypeGuard[dict[str, Json]]:
    """Tell whether a value is a JSON object as it stands."""
    try:
        return isinstance(value, dict) and json.loads(json.dumps(value)) == value
    except (TypeError, ValueError):
        return False


def output_json(output: ToolOutput) -> Json:
    """Return what a tool of LlamaIndex gave back: its raw output, or its text where that is no data."""
    try:
        return json_of(cast(object, output.raw_output))
    except (NoJson, RecursionError):
        return output.content


def tool_result(output: ToolOutput) -> ToolResult:
    """Return a tool's output as a procedure gets it."""
    if output.is_error:
        return ToolResult(error=output.content or "the tool failed")
    return ToolResult(value=decode(output_json(output)))


def render(answer: Json) -> str:
    """Return an answer as a text."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
