"""Short ways to declare a tool with a JSON schema of its arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seglam_agents.records.record import Json
from seglam_agents.records.tools import Effect, Tool


def declare(
    name: str,
    description: str,
    properties: Mapping[str, dict[str, Json]],
    *,
    effect: Effect = "read",
    required: Sequence[str] = (),
) -> Tool:
    """Return a tool whose arguments are the given properties, in this order, and nothing else."""
    parameters: dict[str, Json] = {
        "type": "object",
        "properties": {key: dict(value) for key, value in properties.items()},
        "required": list(required),
        "additionalProperties": False,
    }
    return Tool(name=name, description=description, parameters=parameters, effect=effect)


def text(description: str, choices: Sequence[str] = ()) -> dict[str, Json]:
    """Return the schema of a text, or of one out of a closed set."""
    schema: dict[str, Json] = {"type": "string", "description": description}
    if choices:
        schema["enum"] = list(choices)
    return schema


def not_a(what: str, choices: Sequence[str]) -> str:
    """Return what a tool answers when it gets a value outside of a closed set."""
    return f"{what} not valid. Please choose from: {', '.join(choices)}"
